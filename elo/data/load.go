package data

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// LoadOptions says how files become a corpus. The zero value adds no special
// tokens.
type LoadOptions struct {
	Read     ReadOptions
	Policy   Policy
	Marker   Marker                      // makes a marked corpus, in the place of encoder and policy; nil is none
	Workers  int                         // texts tokenised at a time; 0 is one a processor
	Progress func(docs int, bytes int64) // called now and then with the totals so far; nil is none
}

// Load reads and tokenises a file or directory; see [Read] for the formats.
// Whatever the number of workers, the documents keep their order and the first
// error in that order is returned.
func Load(ctx context.Context, path, lang string, enc Encoder, o LoadOptions) (*Corpus, error) {
	ctx, cancel := context.WithCancel(ctx)
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	l := &loader{enc: enc, policy: o.Policy, marker: o.Marker, todo: make(chan *batchOfTexts), inOrder: make(chan *batchOfTexts, 2*workers)}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { l.read(ctx, path, o.Read) })
	for range workers {
		wg.Go(l.encode)
	}
	c := NewCorpus(path, lang)
	c.marked = o.Marker != nil
	for t := range l.inOrder {
		select {
		case <-t.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := t.addTo(c); err != nil {
			return nil, err
		}
		if o.Progress != nil {
			o.Progress(c.Len(), c.Bytes())
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// loader passes texts through two channels at once: todo to whichever worker
// is free, inOrder to the corpus, which waits for each in turn. The latter's
// length bounds the text in memory.
type loader struct {
	enc     Encoder
	policy  Policy
	marker  Marker
	todo    chan *batchOfTexts
	inOrder chan *batchOfTexts
}

// batchOfTexts is some documents in a row and, once done is closed, their ids.
type batchOfTexts struct {
	docs []Document
	size int // bytes of text
	ids  []int32
	// marks and lens belong to a marked corpus: which ids are to be learned, and
	// the bytes of text that those of each document stand for.
	marks []bool
	lens  []int
	ends  []int // where each document ends in ids; shorter than docs after an error
	err   error // behind the last document in ends
	done  chan struct{}
}

// textsBytes is about as much text as makes handing it over worth while.
const textsBytes = 1 << 18

func newTexts() *batchOfTexts { return &batchOfTexts{done: make(chan struct{})} }

// read deals out the documents until the end, an error or ctx's end.
func (l *loader) read(ctx context.Context, path string, o ReadOptions) {
	defer close(l.inOrder)
	defer close(l.todo)
	send := func(t *batchOfTexts) bool {
		for _, ch := range []chan *batchOfTexts{l.inOrder, l.todo} {
			select {
			case ch <- t:
			case <-ctx.Done():
				return false
			}
		}
		return true
	}
	t := newTexts()
	for d, err := range Read(path, o) {
		if err != nil {
			t.err = err
			break
		}
		t.docs = append(t.docs, d)
		if t.size += len(d.Text); t.size >= textsBytes {
			if !send(t) {
				return
			}
			t = newTexts()
		}
	}
	send(t)
}

func (l *loader) encode() {
	for t := range l.todo {
		for _, d := range t.docs {
			if err := l.encodeOne(t, d); err != nil {
				t.err = at(d, err)
				break
			}
			t.ends = append(t.ends, len(t.ids))
		}
		close(t.done)
	}
}

func (l *loader) encodeOne(t *batchOfTexts, d Document) (err error) {
	if l.marker == nil {
		t.ids, err = l.policy.encode(t.ids, l.enc, d.Text)
		return err
	}
	var n int
	t.ids, t.marks, n, err = l.marker.AppendMarked(t.ids, t.marks, d.Text)
	t.lens = append(t.lens, n)
	return err
}

func at(d Document, err error) error {
	return fmt.Errorf("data: %s:%d: %w", d.File, d.Line, err)
}

func (t *batchOfTexts) addTo(c *Corpus) error {
	start := 0
	for i, end := range t.ends {
		n, marks := len(t.docs[i].Text), []bool(nil)
		if c.marked {
			if start == end {
				continue // left out
			}
			n, marks = t.lens[i], t.marks[start:end]
		}
		if err := c.add(t.ids[start:end], marks, n); err != nil {
			return at(t.docs[i], err)
		}
		start = end
	}
	return t.err
}
