package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"graft/kernels"
)

type devicesOptions struct{ json bool }

// device is one line of the report.
type device struct {
	Name        string   `json:"name"`
	OK          bool     `json:"ok"`
	Reason      string   `json:"reason,omitempty"` // why it does not open
	Auto        bool     `json:"auto"`             // what --device auto takes
	Device      string   `json:"device,omitempty"`
	Memory      int64    `json:"memory_bytes,omitempty"`
	MaxBuffer   int64    `json:"max_buffer_bytes,omitempty"`
	Align       int64    `json:"align,omitempty"`
	Threads     int      `json:"threads,omitempty"`
	MatrixTypes []string `json:"matrix_types,omitempty"`
	Notes       []string `json:"notes,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
}

func newDevices(a *app) *cobra.Command {
	var o devicesOptions
	cmd := &cobra.Command{
		Use: "devices", Short: "List what there is to compute on", Args: exactly(),
		Long: `List every backend of this program: the device it opens and what that offers, or
why it opens none; and the devices by number where there may be several. The
device that --device auto takes is marked with a star.`,
		RunE: func(*cobra.Command, []string) error { return runDevices(a, o) },
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func runDevices(a *app, o devicesOptions) error {
	list := []device{}
	auto := autoBackend(a)
	for _, name := range kernels.Backends() {
		d := probe(name)
		d.Auto = d.OK && name == auto
		list = append(list, d)
	}
	list = append(list, numbered()...)
	if o.json {
		return a.writeJSON(list)
	}
	for _, d := range list {
		fmt.Fprintln(a.out, d)
	}
	return nil
}

// autoBackend names the backend that --device auto opens; "" is none.
func autoBackend(a *app) string {
	be, err := openDevice(a, "auto")
	if err != nil {
		return ""
	}
	name := be.Caps().Name
	if err := be.Close(); err != nil {
		return ""
	}
	return name
}

// probe opens a device, looks at it and closes it.
func probe(name string) device {
	be, err := kernels.Open(name)
	if err != nil {
		return device{Name: name, Reason: oneLine(err.Error())}
	}
	c := be.Caps()
	d := device{Name: name, OK: true, Notes: c.Notes, Device: c.Device, Memory: c.Memory, MaxBuffer: c.MaxBuffer,
		Align: c.Align, Threads: c.Threads, Fingerprint: c.Fingerprint}
	for _, t := range c.MatrixTypes {
		d.MatrixTypes = append(d.MatrixTypes, t.String())
	}
	if err := be.Close(); err != nil {
		d.OK, d.Reason = false, oneLine(err.Error())
	}
	return d
}

func (d device) String() string {
	mark := " "
	if d.Auto {
		mark = "*"
	}
	if !d.OK {
		return fmt.Sprintf("%s %-10s not available: %s", mark, d.Name, d.Reason)
	}
	parts := []string{d.Device}
	if d.Memory > 0 {
		parts = append(parts, sizeText(d.Memory))
	}
	if d.Threads > 0 {
		parts = append(parts, fmt.Sprintf("%d threads", d.Threads))
	}
	if len(d.MatrixTypes) > 0 {
		parts = append(parts, "matrices in "+strings.Join(d.MatrixTypes, ", "))
	}
	text := fmt.Sprintf("%s %-10s %s", mark, d.Name, strings.Join(parts, ", "))
	if d.Fingerprint != "" {
		text += " (" + d.Fingerprint + ")"
	}
	for _, n := range d.Notes {
		text += "\n             " + n
	}
	return text
}
