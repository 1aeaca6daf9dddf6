package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
)

// Encoder turns a text into token ids, appended to dst. With addSpecial it
// adds what the tokenizer puts around a text, such as a beginning-of-sequence
// token. It must be safe for concurrent use.
type Encoder interface {
	AppendIDs(dst []int32, text string, addSpecial bool) ([]int32, error)
}

// Policy says which special tokens a document gets.
type Policy struct {
	AddSpecial bool  // those of the tokenizer's own post-processor, usually BOS
	AppendEOS  bool  // EOS behind the document, unless the post-processor put it there
	EOS        int32 // the id, used when AppendEOS is set
}

// Marker turns a document into token ids and tells which of them are to be
// learned, appended to ids and marks; bytes is how much text those stand for. A
// document for which it appends nothing is left out. It must be safe for
// concurrent use.
type Marker interface {
	AppendMarked(ids []int32, marks []bool, text string) (_ []int32, _ []bool, bytes int, err error)
}

// Corpus is a list of tokenised documents of one language. In a marked one only
// marked tokens are targets; whatever else counts tokens counts all of them.
type Corpus struct {
	path, lang    string
	store         *store
	docs          []doc
	tokens, bytes int64
	pairs         int64 // neighbouring tokens, the sum of tokens-1
	hash          string
	marked        bool
}

// doc says where a document lies in the store.
type doc struct {
	chunk, start  uint32
	tokens, bytes int32
}

// store holds ids in chunks, so that it grows without being copied; corpora
// split from one another share it. A document lies in one chunk.
type store struct {
	chunks [][]int32
	marks  [][]bool // of the ids in chunks; nil in a corpus that is not marked
}

const chunkTokens = 1 << 20

func (s *store) add(ids []int32, marks []bool) (chunk, start uint32) {
	last := len(s.chunks) - 1
	if last < 0 || len(s.chunks[last])+len(ids) > cap(s.chunks[last]) {
		s.chunks = append(s.chunks, make([]int32, 0, max(chunkTokens, len(ids))))
		if marks != nil {
			s.marks = append(s.marks, make([]bool, 0, max(chunkTokens, len(ids))))
		}
		last++
	}
	if marks != nil {
		s.marks[last] = append(s.marks[last], marks...)
	}
	c := &s.chunks[last]
	start = uint32(len(*c))
	*c = append(*c, ids...)
	return uint32(last), start
}

// NewCorpus returns an empty corpus. The path is what errors and reports call
// it.
func NewCorpus(path, lang string) *Corpus {
	return &Corpus{path: path, lang: lang, store: &store{}}
}

// Path is the name the corpus was loaded from or given.
func (c *Corpus) Path() string { return c.path }

// Lang is the language of all documents.
func (c *Corpus) Lang() string { return c.lang }

// Len is the number of documents.
func (c *Corpus) Len() int { return len(c.docs) }

// Tokens is the number of ids, special tokens included.
func (c *Corpus) Tokens() int64 { return c.tokens }

// Bytes is the number of UTF-8 bytes of all texts.
func (c *Corpus) Bytes() int64 { return c.bytes }

// Pairs is the number of tokens that have a successor in their document, which
// is the number of targets in one epoch.
func (c *Corpus) Pairs() int64 { return c.pairs }

// IDs returns the ids of document i. They must not be changed.
func (c *Corpus) IDs(i int) []int32 {
	d := c.docs[i]
	return c.store.chunks[d.chunk][d.start : int(d.start)+int(d.tokens)]
}

// Marks tells which of document i's ids are to be learned; it is nil when all
// are. It must not be changed.
func (c *Corpus) Marks(i int) []bool {
	if !c.marked {
		return nil
	}
	d := c.docs[i]
	return c.store.marks[d.chunk][d.start : int(d.start)+int(d.tokens)]
}

// DocBytes is the number of UTF-8 bytes of document i's text.
func (c *Corpus) DocBytes(i int) int64 { return int64(c.docs[i].bytes) }

// covered returns how many of document i's bytes its first n targets stand
// for. Ids do not tell their bytes (normalisers and byte fallback stand
// between), so a document's bytes are spread evenly over its targets; over the
// whole document the count is exact.
func (c *Corpus) covered(i, n int) int64 {
	d := c.docs[i]
	return int64(d.bytes) * int64(n) / int64(d.tokens-1)
}

// add takes over the ids of a text of n bytes, and in a marked corpus their
// marks.
func (c *Corpus) add(ids []int32, marks []bool, n int) error {
	if len(ids) > math.MaxInt32 || n > math.MaxInt32 || len(c.docs) == math.MaxInt32 {
		return fmt.Errorf("document %d: %d tokens in %d bytes are too many", len(c.docs)+1, len(ids), n)
	}
	for i, id := range ids {
		if id < 0 {
			return fmt.Errorf("document %d: token %d: expected an id of at least 0, found %d", len(c.docs)+1, i, id)
		}
	}
	chunk, start := c.store.add(ids, marks)
	c.append(doc{chunk, start, int32(len(ids)), int32(n)})
	return nil
}

func (c *Corpus) append(d doc) {
	c.docs = append(c.docs, d)
	c.tokens += int64(d.tokens)
	c.bytes += int64(d.bytes)
	c.pairs += int64(max(d.tokens-1, 0))
	c.hash = ""
}

// encode appends the ids of text to dst as p says.
func (p Policy) encode(dst []int32, enc Encoder, text string) ([]int32, error) {
	n := len(dst)
	dst, err := enc.AppendIDs(dst, text, p.AddSpecial)
	if err != nil {
		return dst, err
	}
	if p.AppendEOS && (len(dst) == n || dst[len(dst)-1] != p.EOS) {
		dst = append(dst, p.EOS)
	}
	return dst, nil
}

// AddText tokenises one document and appends it.
func (c *Corpus) AddText(enc Encoder, p Policy, text string) error {
	ids, err := p.encode(nil, enc, text)
	if err == nil {
		err = c.add(ids, nil, len(text))
	}
	if err != nil {
		return fmt.Errorf("data: %s: %w", c.path, err)
	}
	return nil
}

// HoldOut says which documents are kept from training for evaluation. Set one
// of the two.
type HoldOut struct {
	Every int     // every Every-th document: Every-1, 2*Every-1, ...
	Last  float64 // the last documents, at least this share of the bytes
}

// Split divides the documents, in order, into those for training and those
// held out. Both share the receiver's tokens. Neither may be empty.
func (c *Corpus) Split(h HoldOut) (train, held *Corpus, err error) {
	if (h.Every != 0) == (h.Last != 0) {
		return nil, nil, fmt.Errorf("data: %s: hold-out: expected either every n-th document or the last share, found %d and %v", c.path, h.Every, h.Last)
	}
	if h.Every < 0 || !(h.Last >= 0 && h.Last < 1) {
		return nil, nil, fmt.Errorf("data: %s: hold-out: expected a positive count or a share below 1, found %d and %v", c.path, h.Every, h.Last)
	}
	first := len(c.docs) // of those held out by h.Last
	if h.Last > 0 {
		for n := int64(0); first > 0 && float64(n) < h.Last*float64(c.bytes); n += int64(c.docs[first].bytes) {
			first--
		}
	}
	train = &Corpus{path: c.path, lang: c.lang, store: c.store, marked: c.marked}
	held = &Corpus{path: c.path, lang: c.lang, store: c.store, marked: c.marked}
	for i, d := range c.docs {
		if i >= first || h.Every > 0 && i%h.Every == h.Every-1 {
			held.append(d)
		} else {
			train.append(d)
		}
	}
	if train.Len() == 0 || held.Len() == 0 {
		return nil, nil, fmt.Errorf("data: %s: hold-out: expected documents on both sides, found %d for training and %d held out", c.path, train.Len(), held.Len())
	}
	return train, held, nil
}

// Fingerprint is a hash of the language and of all documents' ids and lengths,
// in hexadecimal. It tells a corpus that was changed, or tokenised otherwise,
// from the one a cursor belongs to.
func (c *Corpus) Fingerprint() string {
	if c.hash != "" {
		return c.hash
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %d\n", c.lang, len(c.docs))
	buf := make([]byte, 0, 1<<14)
	for i, d := range c.docs {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(d.tokens))
		buf = binary.LittleEndian.AppendUint32(buf, uint32(d.bytes))
		for _, id := range c.IDs(i) {
			if len(buf) > 1<<14-8 {
				h.Write(buf)
				buf = buf[:0]
			}
			buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
		}
		for _, m := range c.Marks(i) {
			if len(buf) > 1<<14-8 {
				h.Write(buf)
				buf = buf[:0]
			}
			buf = append(buf, map[bool]byte{true: 1}[m])
		}
		if len(buf) > 1<<13 {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	h.Write(buf)
	c.hash = hex.EncodeToString(h.Sum(nil)[:16])
	return c.hash
}
