package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"graft/kernels"
	_ "graft/kernels/cpu" // the backend that is always there
	"graft/tensor"
)

// autoDevices are what --device auto tries, best first: a graphics card, then the
// processor. A Vulkan driver that computes on the processor is slower there than
// the CPU backend and has to be asked for.
var autoDevices = []string{"vulkan:hardware", "cpu"}

// deviceFlag adds --device.
func deviceFlag(f *pflag.FlagSet, device *string) {
	f.StringVar(device, "device", "auto", "`device` to compute on: auto (a graphics card, or else the processor), "+strings.Join(kernels.Backends(), ", ")+
		", with :n for a certain one (cpu:2 is two threads)")
}

// openDevice opens what --device names. A name that no backend has is a mistake
// on the command line; a device that does not open is not.
func openDevice(a *app, device string) (kernels.Backend, error) {
	if device == "auto" {
		return firstDevice(a, autoDevices, kernels.Open)
	}
	name, _, _ := strings.Cut(device, ":")
	if !slices.Contains(kernels.Backends(), name) {
		return nil, usagef("--device: unknown device %q, want auto, %s", device, strings.Join(kernels.Backends(), ", "))
	}
	return kernels.Open(device)
}

// firstDevice opens the first device that there is. One that is there and does
// not open is passed over with a warning.
func firstDevice(a *app, names []string, open func(string) (kernels.Backend, error)) (kernels.Backend, error) {
	var failed []error
	for _, name := range names {
		be, err := open(name)
		if err == nil {
			return be, nil
		}
		failed = append(failed, err)
		if !errors.Is(err, kernels.ErrNoDevice) {
			a.warn(fmt.Sprintf("%s is passed over: %v", name, err))
		}
	}
	return nil, fmt.Errorf("no device opens: %w", errors.Join(failed...))
}

// closeDevice closes a device behind err. One that is lost can only say so once
// more.
func closeDevice(err error, be kernels.Backend) error {
	e := be.Close()
	if errors.Is(err, kernels.ErrDeviceLost) && errors.Is(e, kernels.ErrDeviceLost) {
		return err
	}
	return errors.Join(err, e)
}

// planned says what will be taken of the device, before it is, and which
// operations run slowly there.
func (a *app) planned(be kernels.Backend, m tensor.Memory, replaced []kernels.Replaced) {
	text := fmt.Sprintf("memory: weights and caches %s, activations %s, input and output %s = %s",
		sizeText(m.Persistent), sizeText(m.Temp), sizeText(m.IO), sizeText(m.Total()))
	if have := be.Caps().Memory; have > 0 {
		text += " of " + sizeText(have)
	}
	a.note(text)
	for _, r := range replaced {
		a.warn(fmt.Sprintf("%v runs by its plain definition, with %s more: %s", r.Op, sizeText(r.Bytes), r.Reason))
	}
}
