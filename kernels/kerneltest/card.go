package kerneltest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"graft/kernels"
)

// OpenDevice opens a device as kernels.Open does and closes it when the test
// ends. The test is skipped when the device does not open, and fails when
// KERNELTEST_REQUIRE names its backend. Every backend but vulkan must open.
func OpenDevice(t testing.TB, device string) kernels.Backend {
	t.Helper()
	name, _, _ := strings.Cut(device, ":")
	be, err := kernels.Open(device)
	switch {
	case err != nil && !required(name) && name == "vulkan":
		t.Skipf("%s cannot be opened: %v", device, err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	})
	return be
}

// Card makes a backend whose memory the CPU sees look like a card with memory
// of its own: buffers on the device have no Bytes, only ReadAt and WriteAt. It
// may also be lost in the middle of its work. What runs on a Card runs where
// memory has to be moved and devices fail, without such a device.
type Card struct {
	kernels.Backend
	// FailRun is the number of the run, counted from 1 over all programs, that
	// fails with FailWith; 0 is none. The card is lost from then on: nothing but
	// Close works.
	FailRun  int
	FailWith error

	runs int
	lost error
}

var _ kernels.Backend = (*Card)(nil)

// Runs is the number of runs so far, of all programs.
func (c *Card) Runs() int { return c.runs }

// Plan counts the memory through which inputs and outputs reach the card.
func (c *Card) Plan(p *kernels.Program) (kernels.Plan, error) {
	pl, err := c.Backend.Plan(p)
	pl.HostBytes += pl.IOBytes
	return pl, err
}

// Alloc hides memory of the device.
func (c *Card) Alloc(size int64, where kernels.Place) (kernels.Buffer, error) {
	if c.lost != nil {
		return nil, c.lost
	}
	b, err := c.Backend.Alloc(size, where)
	if err != nil || where == kernels.Host {
		return b, err
	}
	return &cardBuffer{c: c, inside: b}, nil
}

// Compile binds the memory behind the buffers.
func (c *Card) Compile(p *kernels.Program, pl kernels.Plan, bind map[kernels.SlotID]kernels.Region, temp kernels.Region) (kernels.Exec, error) {
	if c.lost != nil {
		return nil, c.lost
	}
	x := &cardExec{c: c, hidden: map[kernels.SlotID]bool{}}
	seen := map[kernels.SlotID]kernels.Region{}
	for id, r := range bind {
		seen[id], x.hidden[id] = inside(r)
	}
	temp, _ = inside(temp)
	ex, err := c.Backend.Compile(p, pl, seen, temp)
	x.Exec = ex
	if err != nil {
		return nil, err
	}
	return x, nil
}

// inside gives the region that the backend knows, and whether it was hidden.
func inside(r kernels.Region) (kernels.Region, bool) {
	b, ok := r.Buffer.(*cardBuffer)
	if ok {
		r.Buffer = b.inside
	}
	return r, ok
}

type cardExec struct {
	kernels.Exec
	c      *Card
	hidden map[kernels.SlotID]bool
}

func (x *cardExec) Input(id kernels.SlotID) []byte {
	if x.hidden[id] {
		return nil
	}
	return x.Exec.Input(id)
}

func (x *cardExec) Output(id kernels.SlotID) []byte {
	if x.hidden[id] {
		return nil
	}
	return x.Exec.Output(id)
}

func (x *cardExec) Run(ctx context.Context, n int) error {
	for range n {
		if x.c.lost != nil {
			return x.c.lost
		}
		if x.c.runs++; x.c.runs == x.c.FailRun {
			x.c.lost = fmt.Errorf("card: run %d: %w", x.c.runs, x.c.FailWith)
			return x.c.lost
		}
		if err := x.Exec.Run(ctx, 1); err != nil {
			return err
		}
	}
	return nil
}

func (x *cardExec) Profile(ctx context.Context) ([]kernels.Timing, error) {
	if x.c.lost != nil {
		return nil, x.c.lost
	}
	return x.Exec.Profile(ctx)
}

// cardBuffer is memory that only transfers reach.
type cardBuffer struct {
	c      *Card
	inside kernels.Buffer
}

var (
	_ io.ReaderAt = (*cardBuffer)(nil)
	_ io.WriterAt = (*cardBuffer)(nil)
)

func (b *cardBuffer) Bytes() []byte { return nil }
func (b *cardBuffer) Size() int64   { return b.inside.Size() }
func (b *cardBuffer) Close() error  { return b.inside.Close() }

func (b *cardBuffer) ReadAt(p []byte, off int64) (int, error) {
	if err := b.check(p, off); err != nil {
		return 0, err
	}
	return len(p), kernels.Download(b.c.Backend, p, kernels.Region{Buffer: b.inside, Offset: off, Size: int64(len(p))})
}

func (b *cardBuffer) WriteAt(p []byte, off int64) (int, error) {
	if err := b.check(p, off); err != nil {
		return 0, err
	}
	return len(p), kernels.Upload(b.c.Backend, kernels.Region{Buffer: b.inside, Offset: off, Size: int64(len(p))}, p)
}

func (b *cardBuffer) check(p []byte, off int64) error {
	if b.c.lost != nil {
		return b.c.lost
	}
	if n := int64(len(p)); off < 0 || off > b.Size()-n {
		return fmt.Errorf("card: bytes [%d, %d) of a buffer of %d", off, off+n, b.Size())
	}
	return nil
}
