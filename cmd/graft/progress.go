package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"graft/elo"
	"graft/elo/eval"
)

// console is the stream for everything but results. Lines and the progress bar
// share it, so lines first clear the bar away.
type console struct {
	mu  sync.Mutex // an interrupt's note comes from another goroutine
	w   io.Writer
	bar *progressbar.ProgressBar
}

// line prints a line above the bar.
func (c *console) line(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		_ = c.bar.Clear() // the next step draws it again
	}
	fmt.Fprintln(c.w, text)
}

// note says what is being done.
func (a *app) note(text string) { a.console.line(oneLine(text)) }

// warn says what the user should know.
func (a *app) warn(text string) {
	label := "warning:"
	if a.colour {
		label = "\x1b[33mwarning:\x1b[0m"
	}
	a.console.line(label + " " + oneLine(text))
}

// progress reports a run: notes and steps to the console, as a bar where that is
// a terminal and else a line a step, and evaluations to standard output. With
// json, standard output gets an object a line for every step and evaluation.
type progress struct {
	a     *app
	json  bool
	stage string    // that the bar is for
	drawn time.Time // when the bar was last drawn
	err   error     // the first of writing results
}

// redraw is how long the bar stays as it is, so that fast steps do not wait for
// a slow terminal.
const redraw = 100 * time.Millisecond

var _ elo.Reporter = (*progress)(nil)

func (p *progress) Note(text string) { p.a.note(text) }
func (p *progress) Warn(text string) { p.a.warn(text) }

// stepEvent is a step as --json prints it.
type stepEvent struct {
	Event string `json:"event"`
	Stage string `json:"stage"`
	Step  int    `json:"step"`
	Steps int    `json:"steps"`
	Loss  number `json:"loss"`
	// Losses are the mean losses by language.
	Losses    map[string]number `json:"loss_by_lang,omitempty"`
	GradNorm  number            `json:"grad_norm"`
	LR        number            `json:"learning_rate"`
	Tokens    int64             `json:"tokens"`
	Total     int64             `json:"tokens_total"`
	Rate      number            `json:"tokens_per_s"`
	FLOPRate  number            `json:"flop_per_s"`
	Elapsed   float64           `json:"elapsed_s"`
	Remaining float64           `json:"remaining_s"`
}

func (p *progress) Step(s elo.StepReport) {
	if p.json {
		p.emit(newStepEvent(s))
	}
	switch {
	case p.a.bars:
		p.draw(s)
	case !p.json:
		p.a.console.line(fmt.Sprintf("%s %d/%d %s norm %.4g %s", s.Stage, s.Step, s.Steps, stepText(s), s.GradNorm, rateText(s)))
	}
}

func newStepEvent(s elo.StepReport) stepEvent {
	e := stepEvent{Event: "step", Stage: s.Stage, Step: s.Step, Steps: s.Steps, Loss: number(s.Loss), GradNorm: number(s.GradNorm),
		LR: number(s.LR), Tokens: s.Targets, Total: s.TokensTotal, Rate: number(s.Rate), FLOPRate: number(s.FLOPRate),
		Elapsed: s.Elapsed.Seconds(), Remaining: s.Remaining.Seconds()}
	for i, lang := range s.Langs {
		if lang != "" && i < len(s.LangTargets) && s.LangTargets[i] > 0 {
			if e.Losses == nil {
				e.Losses = map[string]number{}
			}
			e.Losses[lang] = number(s.LangLoss[i] / float64(s.LangTargets[i]))
		}
	}
	return e
}

func stepText(s elo.StepReport) string { return fmt.Sprintf("loss %.4f lr %.3g", s.Loss, s.LR) }

func rateText(s elo.StepReport) string {
	return fmt.Sprintf("%s tok/s eta %s %sFLOP/s", countText(s.Rate), timeText(s.Remaining), unitText(s.FLOPRate))
}

// unitText is countText for a number that a unit follows at once.
func unitText(n float64) string {
	t := countText(n)
	if strings.Contains(t, " ") {
		return t
	}
	return t + " "
}

// draw draws a step's bar, and ends it with the stage.
func (p *progress) draw(s elo.StepReport) {
	c := &p.a.console
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar == nil || p.stage != s.Stage {
		p.stage = s.Stage
		c.bar = progressbar.NewOptions(s.Steps, progressbar.OptionSetWriter(c.w), progressbar.OptionSetWidth(16),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionEnableColorCodes(p.a.colour),
			progressbar.OptionUseANSICodes(true), progressbar.OptionShowDescriptionAtLineEnd())
	}
	if s.Step < s.Steps && time.Since(p.drawn) < redraw {
		return
	}
	p.drawn = time.Now()
	text := s.Stage + " " + stepText(s) + " " + rateText(s)
	if room := p.a.width - 45; p.a.width > 0 && len(text) > room { // a line that wraps cannot be cleared
		text = text[:max(0, room)]
	}
	// What cannot be drawn is no reason to stop training. Describe comes second:
	// it draws the text together with the count.
	_ = c.bar.Set(s.Step)
	c.bar.Describe(text)
	if s.Step == s.Steps {
		_ = c.bar.Finish()
		fmt.Fprintln(c.w)
		c.bar = nil
	}
}

// end leaves an unfinished bar as it is.
func (c *console) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		fmt.Fprintln(c.w)
		c.bar = nil
	}
}

// scoreInfo is how well a text was predicted.
type scoreInfo struct {
	Name        string    `json:"name"`
	Tokens      int64     `json:"tokens"`
	Bytes       int64     `json:"bytes"`
	NLL         number    `json:"nll_per_token"` // nats
	Perplexity  number    `json:"perplexity"`
	BitsPerByte number    `json:"bits_per_byte"`
	Documents   []docInfo `json:"documents,omitempty"`
}

type docInfo struct {
	Document int    `json:"document"`
	Tokens   int64  `json:"tokens"`
	NLL      number `json:"nll_per_token"`

	Targets []int32  `json:"targets,omitempty"` // ids of the tokens predicted
	Losses  []number `json:"losses,omitempty"`  // nats, one for each target
}

func newScoreInfo(s eval.Scores) scoreInfo {
	out := scoreInfo{Name: s.Name, Tokens: s.Tokens, Bytes: s.Bytes, NLL: number(s.PerToken()),
		Perplexity: number(s.Perplexity()), BitsPerByte: number(s.BitsPerByte())}
	for _, d := range s.Docs {
		info := docInfo{Document: d.Index, Tokens: d.Tokens, NLL: number(d.PerToken()), Targets: d.Targets}
		for _, loss := range d.Losses {
			info.Losses = append(info.Losses, number(loss))
		}
		out.Documents = append(out.Documents, info)
	}
	return out
}

func (s scoreInfo) String() string {
	return fmt.Sprintf("%s: %.4f nats/token, perplexity %.4g, %.4f bits/byte (%d tokens, %d bytes)",
		s.Name, float64(s.NLL), float64(s.Perplexity), float64(s.BitsPerByte), s.Tokens, s.Bytes)
}

func (p *progress) Eval(r elo.EvalReport) {
	scores := []scoreInfo{}
	for _, s := range r.Scores {
		scores = append(scores, newScoreInfo(s))
	}
	if p.json {
		p.emit(map[string]any{"event": "eval", "when": r.When, "scores": scores})
		return
	}
	for _, s := range scores {
		p.print(r.When + ", " + s.String())
	}
}

// print prints a line of results.
func (p *progress) print(text string) {
	p.a.console.mu.Lock()
	defer p.a.console.mu.Unlock()
	if p.a.console.bar != nil && p.a.termOut {
		_ = p.a.console.bar.Clear()
	}
	_, err := fmt.Fprintln(p.a.out, text)
	p.keep(err)
	p.keep(p.a.out.Flush())
}

func (p *progress) emit(v any) {
	p.keep(p.a.writeJSON(v))
	p.keep(p.a.out.Flush())
}

func (p *progress) keep(err error) {
	if p.err == nil {
		p.err = err
	}
}
