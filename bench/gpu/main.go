package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"graft/kernels"
	_ "graft/kernels/cpu"
	_ "graft/kernels/vulkan"
)

type options struct {
	device     string
	peer       string
	peerDevice string
	small      bool
	only       string
	rounds     int
	budget     time.Duration
	out        string
}

func main() {
	var o options
	flag.StringVar(&o.device, "device", "vulkan", "Graft's `device`")
	flag.StringVar(&o.peer, "peer", "", "`command` that runs peer.py; empty is no peer")
	flag.StringVar(&o.peerDevice, "peer-device", "cuda", "PyTorch's `device`")
	flag.BoolVar(&o.small, "small", false, "sizes for a software driver: proves the path, says nothing about speed")
	flag.StringVar(&o.only, "only", "", "`regexp` of the cases to run")
	flag.IntVar(&o.rounds, "rounds", 3, "turns that each side gets in a case")
	flag.DurationVar(&o.budget, "budget", 7*time.Minute, "no case begins later than this")
	flag.StringVar(&o.out, "o", "", "`folder` for the table; empty is the standard output")
	flag.Parse()
	if flag.NArg() > 0 || o.rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "gpu:", err)
		os.Exit(1)
	}
}

// report is all that the table is made from.
type report struct {
	Device  string // of Graft
	Numbers string // its numerics fingerprint
	Peer    hello
	NoPeer  string // why there is none
	Small   bool
	Rounds  int
	Results []result
}

// result is a case and what came of it.
type result struct {
	Case   benchCase
	Graft  [][]float64            // seconds, by round
	Peer   map[string][][]float64 // by variant, by round
	Memory [2]int64               // Graft's plan, the peer's most
	Err    string                 // why Graft has no figure
	Notes  []string
}

func run(ctx context.Context, o options, out, log io.Writer) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	be, err := kernels.Open(o.device)
	if err != nil {
		return err
	}
	defer be.Close()
	caps := be.Caps()
	rep := report{Device: caps.Device, Numbers: caps.Fingerprint, Small: o.small, Rounds: o.rounds}
	var p *peer
	if o.peer == "" {
		rep.NoPeer = "no peer was asked for"
	} else if p, err = startPeer(o.peer, o.peerDevice); err != nil {
		rep.NoPeer = err.Error()
	} else {
		defer p.Close()
		rep.Peer = p.Hello
	}
	began := time.Now()
	for _, c := range allCases(o.small) {
		if !only.MatchString(c.Name) {
			continue
		}
		var r result
		if late := time.Since(began); late > o.budget {
			r = result{Case: c, Err: fmt.Sprintf("not begun: %v of %v were over", late.Round(time.Second), o.budget)}
		} else {
			r = measure(ctx, be, p, c, o.rounds)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Fprintf(log, "%-50s %s\n", c.Name, r.line())
		rep.Results = append(rep.Results, r)
	}
	return save(rep, o.out, out)
}

// A turn is at least one run, and ends after so many or so long.
const (
	turnRuns    = 10
	turnSeconds = 0.8
)

// measure gives both sides their turns, one after the other.
func measure(ctx context.Context, be kernels.Backend, p *peer, c benchCase, rounds int) result {
	res := result{Case: c, Peer: map[string][][]float64{}}
	var r runner
	var err error
	if c.Kind == kindStep {
		var s *step
		if s, err = newStep(be, c); err == nil {
			res.Case.FLOPs, r = s.flops, s
		}
	} else {
		r, err = newOperation(be, c)
	}
	if err != nil {
		res.Err = err.Error()
	} else {
		defer r.Close()
		res.Memory[0] = r.memory()
	}
	for range rounds {
		if res.Err == "" {
			if ts, err := turn(ctx, r); err != nil {
				res.Err = err.Error()
			} else {
				res.Graft = append(res.Graft, ts)
			}
		}
		if p == nil {
			continue
		}
		a, err := p.ask(request{c, turnSeconds, turnRuns})
		if err != nil {
			res.Notes = append(res.Notes, "PyTorch: "+err.Error())
			break
		}
		for variant, ts := range a.Variants {
			res.Peer[variant] = append(res.Peer[variant], ts)
		}
		res.Memory[1] = max(res.Memory[1], a.Memory)
		for _, n := range a.Notes {
			if n = "PyTorch: " + n; !slices.Contains(res.Notes, n) {
				res.Notes = append(res.Notes, n)
			}
		}
	}
	return res
}

func turn(ctx context.Context, r runner) (ts []float64, err error) {
	began := time.Now()
	for len(ts) < turnRuns && (len(ts) == 0 || time.Since(began).Seconds() < turnSeconds) {
		s, err := r.run(ctx)
		if err != nil {
			return nil, err
		}
		ts = append(ts, s)
	}
	return ts, nil
}

// notName matches what does not go into a file's name.
var notName = regexp.MustCompile(`[^a-z0-9]+`)

// save writes the table into a folder, under the device's name, or to out.
func save(rep report, dir string, out io.Writer) error {
	text := table(rep)
	if dir == "" {
		_, err := io.WriteString(out, text)
		return err
	}
	name := strings.Trim(notName.ReplaceAllString(strings.ToLower(rep.Device), "-"), "-")
	if name == "" {
		return errors.New("the device has no name")
	}
	if rep.Small {
		name += "-small"
	}
	path := filepath.Join(dir, "gpu-"+name+".md")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, path)
	return err
}
