package main

import (
	"math"
	"strconv"
)

// number is a float that JSON may lack: NaN and infinities are null.
type number float64

// MarshalJSON writes the shortest digits that give the number back.
func (n number) MarshalJSON() ([]byte, error) {
	if x := float64(n); math.IsNaN(x) || math.IsInf(x, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', -1, 64), nil
}
