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
	"strconv"
	"strings"
	"time"

	"graft/bench/versus"
	"graft/kernels"
	_ "graft/kernels/cpu"
)

type options struct {
	serve   string
	python  string
	scripts string
	threads string
	small   bool
	only    string
	rounds  int
	budget  time.Duration
	out     string
}

func main() {
	var o options
	flag.StringVar(&o.serve, "serve", "", "be Graft's side on this `device`")
	flag.StringVar(&o.python, "python", "python3", "`interpreter` for the peers; empty is no peers")
	flag.StringVar(&o.scripts, "scripts", "bench/versus", "`folder` of the peers' scripts")
	flag.StringVar(&o.threads, "threads", "1,2", "`numbers` of threads")
	flag.BoolVar(&o.small, "small", false, "sizes of a minute: prove the path, say nothing about speed")
	flag.StringVar(&o.only, "only", "", "`regexp` of the cases to run, by section, name and threads")
	flag.IntVar(&o.rounds, "rounds", 5, "turns that each side gets in a case")
	flag.DurationVar(&o.budget, "budget", 90*time.Minute, "no case begins later than this")
	flag.StringVar(&o.out, "o", "", "`folder` for the table; empty is the standard output")
	flag.Parse()
	if flag.NArg() > 0 || o.rounds < 1 {
		flag.Usage()
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
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	threads, err := numbers(o.threads)
	if err != nil {
		return fmt.Errorf("-threads: %w", err)
	}
	list, err := sections(o.small)
	if err != nil {
		return err
	}
	be, err := kernels.Open("cpu")
	if err != nil {
		return err
	}
	defer be.Close()
	rep := report{Device: be.Caps().Device, Threads: be.Caps().Threads, Rounds: o.rounds, Small: o.small,
		Versions: map[string]string{}, Resident: map[string]int64{}, Sections: list, Rows: make([][]row, len(list))}
	f := newField(o, &rep)
	defer f.close()
	began := time.Now()
	for i, s := range list {
		for _, c := range s.cases {
			for _, n := range threads {
				name := fmt.Sprintf("%s, %s, %s", s.title, c.Name, plural(n))
				if !only.MatchString(name) {
					continue
				}
				r := row{Threads: n}
				if late := time.Since(began); late > o.budget {
					r.Case, r.Err = c, fmt.Sprintf("not begun: %v of %v were over", late.Round(time.Second), o.budget)
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
	return save(rep, o.out, out)
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

// notName matches what does not go into a file's name.
var notName = regexp.MustCompile(`[^a-z0-9]+`)

// save writes the tables into a folder, under the processor's name, or to out.
func save(rep report, dir string, out io.Writer) error {
	text := table(rep)
	if dir == "" {
		_, err := io.WriteString(out, text)
		return err
	}
	name := strings.Trim(notName.ReplaceAllString(strings.ToLower(rep.Device), "-"), "-")
	if name == "" {
		return errors.New("the processor has no name")
	}
	if rep.Small {
		name += "-small"
	}
	path := filepath.Join(dir, "cpu-"+name+".md")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, path)
	return err
}
