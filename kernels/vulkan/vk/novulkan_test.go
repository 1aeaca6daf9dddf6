//go:build novulkan

package vk

import (
	"errors"
	"testing"
)

func TestOpenNotBuilt(t *testing.T) {
	if _, err := Open(); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("got %v, want ErrNotBuilt", err)
	}
}
