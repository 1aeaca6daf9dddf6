package main

import "strings"

// peak is what a vendor's datasheet promises, dense, without sparsity.
type peak struct {
	name   string  // part of the name that the driver gives
	matrix float64 // TFLOP/s of bf16 products with f32 sums
	f32    float64 // TFLOP/s outside of the matrix units
	memory float64 // GB/s
}

// peaks are looked through in order; the first whose name is part of the device's wins.
var peaks = []peak{
	{"H200", 989.5, 66.9, 4800},
	{"H100 PCIe", 756, 51.2, 2039},
	{"H100", 989.5, 66.9, 3352},
	{"A100-SXM4-80GB", 312, 19.5, 2039},
	{"A100", 312, 19.5, 1555},
	{"L40S", 362, 91.6, 864},
	{"RTX 4090", 165.2, 82.6, 1008},
	{"RTX 3090", 71, 35.6, 936},
	{"7900 XTX", 122.8, 61.4, 960},
}

// peakOf returns the figures for a device, nil when they are not known.
func peakOf(device string) *peak {
	for i := range peaks {
		if strings.Contains(device, peaks[i].name) {
			return &peaks[i]
		}
	}
	return nil
}
