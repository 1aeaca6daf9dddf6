package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// peer is PyTorch in a process of its own. It takes a request a line and gives an
// answer a line; what it holds for a case is freed when the next one begins.
type peer struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	Hello hello
}

// hello is the peer's first line.
type hello struct {
	Device string `json:"device"`
	Torch  string `json:"torch"`
	Error  string `json:"error"`
}

// request asks for a case, prepared once and then timed as often as asked.
type request struct {
	Case    benchCase `json:"case"`
	Seconds float64   `json:"seconds"` // at most so long, at least one run
	Runs    int       `json:"runs"`
}

// answer has the seconds of each run by variant ("eager", "compile", ...).
type answer struct {
	Variants map[string][]float64 `json:"variants"`
	Memory   int64                `json:"memory"` // most bytes that were allocated
	Error    string               `json:"error"`
	Notes    []string             `json:"notes"` // variants that failed, and why
}

// startPeer runs the command with the device's name as its last argument.
func startPeer(command, device string) (*peer, error) {
	args := append(strings.Fields(command), device)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
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
	p := &peer{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	p.out.Buffer(nil, 1<<20)
	if err = p.read(&p.Hello); err == nil && p.Hello.Error != "" {
		err = errors.New(p.Hello.Error)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *peer) read(v any) error {
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

func (p *peer) ask(r request) (a answer, err error) {
	line, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	if _, err = p.in.Write(append(line, '\n')); err != nil {
		return a, err
	}
	if err = p.read(&a); err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	return a, err
}

// Close ends the process by ending its input.
func (p *peer) Close() error {
	p.in.Close()
	return p.cmd.Wait()
}
