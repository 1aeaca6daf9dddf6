package versus

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Process is a side in a process of its own. It takes a request a line and gives an
// answer a line; what it holds for a case is freed when the next one begins.
type Process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	Hello Hello
}

var _ Side = (*Process)(nil)

// Hello is a process's first line.
type Hello struct {
	Device   string            `json:"device"`
	Versions map[string]string `json:"versions"` // of what it measures, by name
	Missing  []string          `json:"missing"`  // what it would also measure, were it there
	Resident int64             `json:"resident"` // bytes before the first case; 0 is unknown
	Error    string            `json:"error"`
}

// Start runs a command with environment variables ("K=V") beside this process's own.
func Start(env []string, name string, args ...string) (*Process, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	p.out.Buffer(nil, 1<<20)
	if err = p.read(&p.Hello); err == nil && p.Hello.Error != "" {
		err = errors.New(p.Hello.Error)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Process) read(v any) error {
	if !p.out.Scan() {
		if err := p.out.Err(); err != nil {
			return err
		}
		return errors.New("the peer ended")
	}
	if err := json.Unmarshal(p.out.Bytes(), v); err != nil {
		return fmt.Errorf("the peer answers %q: %w", p.out.Text(), err)
	}
	return nil
}

// Turn asks and waits for the answer.
func (p *Process) Turn(ctx context.Context, r Request) (a Answer, err error) {
	if err = p.Ask(ctx, r, &a); err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	return a, err
}

// Ask sends any request and reads its answer, for processes that run no cases.
func (p *Process) Ask(ctx context.Context, request, answer any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err = p.in.Write(append(line, '\n')); err != nil {
		return err
	}
	return p.read(answer)
}

// Close ends the process by ending its input.
func (p *Process) Close() error {
	p.in.Close()
	return p.cmd.Wait()
}
