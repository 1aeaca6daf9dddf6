package optim_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	_ "graft/kernels/cpu"
	_ "graft/kernels/ref"
	_ "graft/kernels/vulkan"
	"graft/tensor"
	"graft/tensor/optim"
)

// steps runs the update program for a few steps on a device and returns the weights.
func steps(t *testing.T, device string) []float32 {
	be, err := kernels.Open(device)
	if errors.Is(err, kernels.ErrNoDevice) && !slices.Contains(strings.Split(os.Getenv("KERNELTEST_REQUIRE"), ","), device) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	flat, err := optim.NewFlat([]optim.Param{
		{Name: "w", Shape: []int{33, 7}, Decay: true},
		{Name: "b", Shape: []int{5}},
	}, kernels.BF16, 0)
	if err != nil {
		t.Fatal(err)
	}
	g := tensor.New("update")
	flat.Update(g, optim.Config{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decay: 0.1})
	p, err := g.Compile()
	if err != nil {
		t.Fatal(err)
	}
	s := tensor.NewStore(be)
	defer s.Close()
	if err := errors.Join(s.Declare(p), s.Alloc()); err != nil {
		t.Fatal(err)
	}
	ex, err := s.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	hyper := ex.Input(kernels.SlotID(slices.IndexFunc(p.Slots, func(s kernels.Slot) bool { return s.Name == optim.HyperSlot })))
	mem := make([]byte, 4*flat.Len())
	for step := range 4 {
		for i := range flat.Len() {
			x := float32(math.Sin(float64(i + step)))
			binary.LittleEndian.PutUint32(mem[4*i:], math.Float32bits(x))
		}
		if err := s.Write(optim.GradSlot, 0, mem); err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint32(hyper[4*kernels.HyperLR:], math.Float32bits(0.01))
		binary.LittleEndian.PutUint32(hyper[4*kernels.HyperMaxNorm:], math.Float32bits(float32(step%2)))
		if err := ex.Run(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Read(optim.WeightSlot, 0, mem); err != nil {
		t.Fatal(err)
	}
	w := make([]float32, flat.Len())
	for i := range w {
		w[i] = math.Float32frombits(binary.LittleEndian.Uint32(mem[4*i:]))
	}
	return w
}

// TestUpdateOnBackends runs the whole update program, as training does, on every
// backend and holds the weights to the oracle's.
func TestUpdateOnBackends(t *testing.T) {
	want := steps(t, "ref")
	for _, device := range []string{"cpu", "vulkan"} {
		t.Run(device, func(t *testing.T) {
			for i, w := range steps(t, device) {
				// Weights move by at most 0.01 a step from zero; a step is off by less than
				// ten roundings.
				if d := math.Abs(float64(w - want[i])); !(d <= 4*10*0.01/(1<<24)) || w == 0 && want[i] != 0 {
					t.Fatalf("weight %d: got %v, want %v", i, w, want[i])
				}
			}
		})
	}
}
