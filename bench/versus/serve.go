package versus

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"graft/kernels"
)

// Requests are read by the other end of a Process.
type Requests struct{ dec *json.Decoder }

// NewRequests reads a request a line.
func NewRequests(in io.Reader) *Requests { return &Requests{json.NewDecoder(in)} }

// Next is io.EOF when there are no more.
func (q *Requests) Next() (r Request, err error) {
	err = q.dec.Decode(&r)
	return r, err
}

// Serve is Graft's end of a Process: it greets, then answers requests until there are
// no more.
func Serve(ctx context.Context, device string, in io.Reader, out io.Writer) error {
	enc := json.NewEncoder(out)
	be, err := kernels.Open(device)
	if err != nil {
		return enc.Encode(Hello{Error: err.Error()})
	}
	defer be.Close()
	caps := be.Caps()
	h := Hello{Device: caps.Device, Versions: map[string]string{"Graft": caps.Fingerprint}, Resident: resident()}
	if err := enc.Encode(h); err != nil {
		return err
	}
	l := NewLocal(be)
	defer l.Close()
	for q := NewRequests(in); ; {
		r, err := q.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		a, err := l.Turn(ctx, r)
		if err != nil {
			a = Answer{Error: err.Error()}
		}
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
}
