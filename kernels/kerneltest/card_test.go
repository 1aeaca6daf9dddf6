package kerneltest

import (
	"errors"
	"testing"

	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/kernels/ref"
)

// TestCard holds the contract and random programs on memory that the CPU does
// not see, and with them what the suite itself does there.
func TestCard(t *testing.T) {
	open := func() (kernels.Backend, error) {
		be, err := kernels.Open("cpu:2")
		return &Card{Backend: be}, err
	}
	s := &suite{opts: Options{Name: "card", Programs: 10}, seen: report{}}
	s.be = s.open(t, open)
	defer s.be.Close()
	t.Run("contract", s.contract)
	t.Run("programs", s.programs)
	if buf, err := s.be.Alloc(8, kernels.Device); err != nil || buf.Bytes() != nil {
		t.Errorf("got memory that the CPU sees, %v", err)
	}
}

// TestCardIsLost: nothing works any more after the run that fails.
func TestCardIsLost(t *testing.T) {
	p, _, sum, _ := counter()
	c := &Card{Backend: ref.New(ref.Options{}), FailRun: 3, FailWith: kernels.ErrDeviceLost}
	pl, err := c.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMemory(c, kernels.Device, p, pl.TempBytes)
	if err != nil {
		t.Fatal(err)
	}
	ex, err := c.Compile(p, pl, m.bind, m.temp)
	if err != nil {
		t.Fatal(err)
	}
	if err := ex.Run(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	_, again := c.Compile(p, pl, m.bind, m.temp)
	if again != nil {
		t.Fatal(again)
	}
	got := make([]byte, m.bind[sum].Size)
	if err := kernels.Download(c, got, m.bind[sum]); err != nil {
		t.Fatal(err)
	}
	fails := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, kernels.ErrDeviceLost) {
			t.Errorf("%s: got %v, want %v", what, err, kernels.ErrDeviceLost)
		}
	}
	fails("the third run", ex.Run(t.Context(), 1))
	fails("the fourth", ex.Run(t.Context(), 1))
	fails("download", kernels.Download(c, got, m.bind[sum]))
	fails("upload", kernels.Upload(c, m.bind[sum], got))
	_, err = ex.Profile(t.Context())
	fails("profile", err)
	_, err = c.Alloc(8, kernels.Device)
	fails("alloc", err)
	_, err = c.Compile(p, pl, m.bind, m.temp)
	fails("compile", err)
	if err := errors.Join(ex.Close(), m.buf.Close(), c.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
}
