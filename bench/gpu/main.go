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
	"strings"
	"time"

	"graft/bench/versus"
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
	flag.StringVar(&o.peer, "peer", "", "`command` that runs bench/versus/pytorch.py; empty is no peer")
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
	Peer    versus.Hello
	NoPeer  string // why there is none
	Small   bool
	Rounds  int
	Results []result
}

// result is a case and what came of it.
type result struct{ versus.Result }

// The names of the sides.
const (
	ours   = "Graft"
	theirs = "PyTorch"
)

// A turn is at least one run, and ends after so many or so long.
const (
	turnRuns    = 10
	turnSeconds = 0.8
)

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
	local := versus.NewLocal(be)
	defer local.Close()
	sides := []versus.Named{{Name: ours, Side: local}}
	if args := append(strings.Fields(o.peer), o.peerDevice); len(args) == 1 {
		rep.NoPeer = "no peer was asked for"
	} else if p, err := versus.Start(nil, args[0], args[1:]...); err != nil {
		rep.NoPeer = err.Error()
	} else {
		defer p.Close()
		rep.Peer = p.Hello
		sides = append(sides, versus.Named{Name: theirs, Side: p})
	}
	began := time.Now()
	for _, c := range allCases(o.small) {
		if !only.MatchString(c.Name) {
			continue
		}
		var r result
		if late := time.Since(began); late > o.budget {
			r.Case, r.Err = c, fmt.Sprintf("not begun: %v of %v were over", late.Round(time.Second), o.budget)
		} else {
			r.Result = versus.Measure(ctx, sides, c, o.rounds, turnSeconds, turnRuns)
			if err := local.Close(); err != nil { // its memory is the peer's now
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Fprintf(log, "%-50s %s\n", c.Name, r.line())
		rep.Results = append(rep.Results, r)
	}
	return save(rep, o.out, out)
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
