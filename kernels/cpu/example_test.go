package cpu_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"math"

	"graft/kernels"
	_ "graft/kernels/cpu"
)

// A program that adds two vectors, from plan to result.
func Example() {
	p := &kernels.Program{Name: "add"}
	a := p.AddSlot(kernels.Slot{Name: "a", Shape: []int{3}, Role: kernels.Input})
	b := p.AddSlot(kernels.Slot{Name: "b", Shape: []int{3}, Role: kernels.Input})
	c := p.AddSlot(kernels.Slot{Name: "c", Shape: []int{3}, Role: kernels.Output})
	p.Code = []kernels.Instr{{
		Op:   kernels.Binary, // Attr{Binary: kernels.Add} is the zero value
		In:   []kernels.View{kernels.Dense(a, 0, 3), kernels.Dense(b, 0, 3)},
		Out:  []kernels.View{kernels.Dense(c, 0, 3)},
		Note: "c = a + b",
	}}

	be, err := kernels.Open("cpu:2")
	if err != nil {
		log.Fatal(err)
	}
	defer be.Close()
	pl, err := be.Plan(p)
	if err != nil {
		log.Fatal(err)
	}
	ex, err := be.Compile(p, pl, nil, kernels.Region{}) // no temporaries
	if err != nil {
		log.Fatal(err)
	}
	defer ex.Close()
	for i := range 3 {
		binary.NativeEndian.PutUint32(ex.Input(a)[4*i:], math.Float32bits(float32(i)))
		binary.NativeEndian.PutUint32(ex.Input(b)[4*i:], math.Float32bits(10))
	}
	if err := ex.Run(context.Background(), 1); err != nil {
		log.Fatal(err)
	}
	for i := range 3 {
		fmt.Println(math.Float32frombits(binary.NativeEndian.Uint32(ex.Output(c)[4*i:])))
	}
	// Output:
	// 10
	// 11
	// 12
}
