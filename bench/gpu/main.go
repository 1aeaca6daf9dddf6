package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"graft/bench/versus"
	"graft/kernels"
	_ "graft/kernels/cpu"
	_ "graft/kernels/vulkan"
)

type options struct {
	versus.Run
	device     string
	peer       string
	peerDevice string
}

func main() {
	o := options{Run: versus.Run{Rounds: 3, Budget: 7 * time.Minute}}
	flag.StringVar(&o.device, "device", "vulkan", "Graft's `device`")
	flag.StringVar(&o.peer, "peer", "", "`command` that runs bench/versus/pytorch.py; empty is no peer")
	flag.StringVar(&o.peerDevice, "peer-device", "cuda", "PyTorch's `device`")
	o.AddTo(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := o.Check(); err != nil {
		fmt.Fprintln(os.Stderr, "gpu:", err)
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
	be, err := kernels.Open(o.device)
	if err != nil {
		return err
	}
	defer be.Close()
	caps := be.Caps()
	rep := report{Device: caps.Device, Numbers: caps.Fingerprint, Small: o.Small, Rounds: o.Rounds}
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
	for _, c := range allCases(o.Small) {
		if !o.Wants(c.Name) {
			continue
		}
		var r result
		if late := o.Late(began); late != "" {
			r.Case, r.Err = c, late
		} else {
			r.Result = versus.Measure(ctx, sides, c, versus.Pace{Rounds: o.Rounds, Turns: 1, Seconds: turnSeconds, Runs: turnRuns})
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
	return o.Save("gpu", rep.Device, table(rep), out)
}
