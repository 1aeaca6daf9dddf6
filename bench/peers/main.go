package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"graft/bench/versus"
	"graft/kernels"
	_ "graft/kernels/cpu"
)

type options struct {
	versus.Run
	serve   string
	python  string
	scripts string
	threads string
}

func main() {
	o := options{Run: versus.Run{Rounds: 5, Budget: 90 * time.Minute}}
	flag.StringVar(&o.serve, "serve", "", "be Graft's side on this `device`")
	flag.StringVar(&o.python, "python", "python3", "`interpreter` for the peers; empty is no peers")
	flag.StringVar(&o.scripts, "scripts", "bench/versus", "`folder` of the peers' scripts")
	flag.StringVar(&o.threads, "threads", "1,2", "`numbers` of threads")
	o.AddTo(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := o.Check(); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := error(nil)
	if o.serve != "" {
		err = versus.Serve(ctx, o.serve, os.Stdin, os.Stdout)
	} else {
		err = run(ctx, o, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// report is all that the tables are made from.
type report struct {
	Device   string
	Threads  int // that the machine runs at once
	Rounds   int
	Small    bool
	Took     time.Duration
	Versions map[string]string
	Missing  []string
	Resident map[string]int64 // of each side before its first case
	Sections []section
	Rows     [][]row // by section
}

// row is a case with a number of threads, and what came of it.
type row struct {
	versus.Result
	Threads int
}

func run(ctx context.Context, o options, out, log io.Writer) error {
	threads, err := numbers(o.threads)
	if err != nil {
		return fmt.Errorf("-threads: %w", err)
	}
	list, err := sections(o.Small)
	if err != nil {
		return err
	}
	be, err := kernels.Open("cpu")
	if err != nil {
		return err
	}
	defer be.Close()
	rep := report{Device: be.Caps().Device, Threads: be.Caps().Threads, Rounds: o.Rounds, Small: o.Small,
		Versions: map[string]string{}, Resident: map[string]int64{}, Sections: list, Rows: make([][]row, len(list))}
	f := newField(o, &rep)
	defer f.close()
	began := time.Now()
	for i, s := range list {
		for _, c := range s.cases {
			for _, n := range threads {
				name := fmt.Sprintf("%s, %s, %s", s.title, c.Name, plural(n))
				if !o.Wants(name) {
					continue
				}
				r := row{Threads: n}
				if late := o.Late(began); late != "" {
					r.Case, r.Err = c, late
				} else if r.Result, err = f.measure(ctx, c, n); err != nil {
					return err
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
				fmt.Fprintf(log, "%s: %s\n", name, strings.Join(s.row(&r), ", "))
				rep.Rows[i] = append(rep.Rows[i], r)
			}
		}
	}
	rep.Took = time.Since(began)
	return o.Save("cpu", rep.Device, table(rep), out)
}

func numbers(list string) (ns []int, err error) {
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number of threads", s)
		}
		ns = append(ns, n)
	}
	return ns, nil
}

func plural(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}
