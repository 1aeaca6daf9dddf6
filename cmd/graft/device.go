package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"graft/kernels"
	_ "graft/kernels/cpu" // the backend that is always there
)

// autoDevices are what --device auto tries, best first. A backend is not among
// them before it runs every operation.
var autoDevices = []string{"cpu"}

// deviceFlag adds --device.
func deviceFlag(f *pflag.FlagSet, device *string) {
	f.StringVar(device, "device", "auto", "`device` to compute on: auto, "+strings.Join(kernels.Backends(), ", ")+", with :n for a certain one (cpu:2 is two threads)")
}

// openDevice opens what --device names. A name that no backend has is a mistake
// on the command line; a device that does not open is not.
func openDevice(device string) (kernels.Backend, error) {
	if device != "auto" {
		name, _, _ := strings.Cut(device, ":")
		if !slices.Contains(kernels.Backends(), name) {
			return nil, usagef("--device: unknown device %q, want auto, %s", device, strings.Join(kernels.Backends(), ", "))
		}
		return kernels.Open(device)
	}
	var failed []error
	for _, name := range autoDevices {
		be, err := kernels.Open(name)
		if err == nil {
			return be, nil
		}
		failed = append(failed, err)
	}
	return nil, fmt.Errorf("no device opens: %w", errors.Join(failed...))
}
