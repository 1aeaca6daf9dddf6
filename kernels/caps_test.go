package kernels

import (
	"errors"
	"strings"
	"testing"
)

func TestCapsPlace(t *testing.T) {
	for _, c := range []struct {
		name             string
		align, piece     int64
		end, size, start int64
	}{
		{"no alignment, no pieces", 0, 0, 7, 100, 7},
		{"aligned", 64, 0, 65, 1000, 128},
		{"fits before the border", 64, 256, 65, 128, 128},
		{"would straddle", 64, 256, 65, 129, 256},
		{"fills a piece", 64, 256, 1, 256, 256},
		{"starts at the border", 64, 256, 256, 256, 256},
		{"nothing", 64, 256, 250, 0, 256},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := (Caps{Align: c.align, MaxBuffer: c.piece}).Place(c.end, c.size); got != c.start {
				t.Errorf("got %d, want %d", got, c.start)
			}
		})
	}
}

func TestCapsBufferBytes(t *testing.T) {
	for _, c := range []struct {
		name string
		caps Caps
		size int64
		want int64
	}{
		{"plain", Caps{}, 100, 100},
		{"aligned", Caps{Align: 64}, 100, 128},
		{"guard", Caps{Align: 64, Guard: 1024}, 100, 128 + 1024},
		{"empty", Caps{Align: 64, MaxBuffer: 256, Guard: 1024}, 0, 1024},
		{"one piece", Caps{Align: 64, MaxBuffer: 256, Guard: 1024}, 256, 256 + 1024},
		{"three pieces", Caps{Align: 64, MaxBuffer: 256, Guard: 1024}, 513, 576 + 3*1024},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.caps.BufferBytes(c.size); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestCapsFits(t *testing.T) {
	p := &Program{Name: "micro", Slots: []Slot{{Name: "a", Shape: []int{64}}, {Name: "b", Shape: []int{5, 13}, Role: Persistent}}}
	for _, c := range []struct {
		name  string
		piece int64
		want  string
	}{
		{"no limit", 0, ""},
		{"just fits", 260, ""},
		{"too small", 259, `gpu: persistent slot "b" [5 13] of program micro takes 260 bytes, card allows 259 in one piece`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Caps{Name: "gpu", Device: "card", MaxBuffer: c.piece}.Fits(p)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrOutOfMemory)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
