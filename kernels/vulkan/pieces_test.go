package vulkan

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"graft/kernels"
)

// TestPieceTransfers moves bytes across the borders of the pieces of a buffer.
func TestPieceTransfers(t *testing.T) {
	const step = 1024
	for _, c := range []struct {
		name   string
		open   func(testing.TB) *Backend
		size   int64
		pieces int
	}{
		{"one", open, step, 1},
		{"empty", open, 0, 1},
		{"two", open, step + 1, 2},
		{"four", open, 4 * step, 4},
		{"staged", staged, 3*step + 5, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := inPieces(c.open, step)(t)
			u := must(b.Alloc(c.size, kernels.Device)).(*Buffer)
			if u.Size() != c.size || len(u.pieces) != c.pieces {
				t.Fatalf("%d bytes in %d pieces, want %d in %d", u.Size(), len(u.pieces), c.size, c.pieces)
			}
			if visible := b.unified && c.pieces == 1; (u.Bytes() != nil) != visible {
				t.Errorf("Bytes is %v bytes, visible should be %v", len(u.Bytes()), visible)
			}
			want := make([]byte, c.size)
			for off := int64(0); off < c.size; off += 700 {
				part := bytes.Repeat([]byte{byte(1 + off/700)}, int(min(900, c.size-off)))
				copy(want[off:], part)
				if n, err := u.WriteAt(part, off); n != len(part) || err != nil {
					t.Fatalf("wrote %d of %d bytes at %d: %v", n, len(part), off, err)
				}
			}
			got := make([]byte, c.size)
			if n, err := u.ReadAt(got, 0); n != len(got) || err != nil || !bytes.Equal(got, want) {
				t.Errorf("read %d of %d bytes, %v, equal %v", n, len(got), err, bytes.Equal(got, want))
			}
			if _, err := u.ReadAt(make([]byte, 2), c.size-1); err == nil {
				t.Error("read past the end")
			}
		})
	}
}

// TestPieceRegions binds slots across the border of two pieces.
func TestPieceRegions(t *testing.T) {
	b := inPieces(open, 1024)(t)
	mem := must(b.Alloc(4096, kernels.Device))
	region := func(off int64) kernels.Region { return kernels.Region{Buffer: mem, Offset: off, Size: 512} }
	for _, c := range []struct {
		name    string
		x, temp int64
		want    string
	}{
		{"inside", 512, 2048, ""},
		{"slot across", 768, 2048, `slot "x": region [768, 1280) straddles a multiple of 1024`},
		{"temporary across", 512, 2048 + 768, `slot "tmp" at 0, of 512 bytes, lies in two pieces`},
		{"temporaries inside, not at a border", 512, 2048 + 512, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, b)
			x := r.add("x", kernels.F32, kernels.Persistent, 128)
			tmp := r.add("tmp", kernels.F32, kernels.Temp, 128)
			y := r.add("y", kernels.F32, kernels.Persistent, 128)
			r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{tmp}, x)
			r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{y}, tmp)
			ex, err := b.Compile(&r.prog, must(b.Plan(&r.prog)), map[kernels.SlotID]kernels.Region{x.Slot: region(c.x), y.Slot: region(0)}, region(c.temp))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want an error with %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer ex.Close()
			want := bytes.Repeat([]byte{7}, 512)
			if err := kernels.Upload(b, region(c.x), want); err != nil {
				t.Fatal(err)
			}
			if err := ex.Run(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 512)
			if err := kernels.Download(b, got, region(0)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("the copy came out wrong, %v", err)
			}
		})
	}
}

// TestScratchAcrossPieces puts the temporary region where scratch would straddle a border.
func TestScratchAcrossPieces(t *testing.T) {
	const n = 65 * 4096
	b := inPieces(open, 4*n)(t)
	r := newRig(t, b)
	x, s := r.slot("x", kernels.F32, values(1, n), n), r.slot("s", kernels.F32, []float64{0}, 1)
	r.emit(kernels.SumSq, kernels.Attr{}, []kernels.View{s}, x)
	pl := must(b.Plan(&r.prog))
	r.compilePlan(pl).Close()
	if pl.Scratch <= b.align {
		t.Fatalf("%d bytes of scratch: the test shows nothing", pl.Scratch)
	}
	temp := kernels.Region{Buffer: must(b.Alloc(8*n, kernels.Device)), Offset: 4*n - b.align, Size: pl.TempBytes}
	if _, err := b.Compile(&r.prog, pl, r.bind, temp); err == nil || !strings.Contains(err.Error(), "scratch of sum_sq") {
		t.Errorf("got %v, want an error that names the scratch", err)
	}
}
