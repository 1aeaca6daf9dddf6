//go:build !novulkan

package main

import (
	"fmt"

	"graft/kernels/vulkan" // its backend is opened when it is asked for by name
)

// numbered lists the devices that a backend chooses from, by the names that
// --device takes.
func numbered() []device {
	infos, err := vulkan.Devices()
	if err != nil {
		return nil // the backend's own line says why
	}
	var list []device
	for _, i := range infos {
		d := device{Name: fmt.Sprintf("vulkan:%d", i.Index), OK: i.Missing == "", Memory: i.Memory,
			Device: fmt.Sprintf("%s, %s, %s", i.Name, i.Type, i.Driver)}
		if !d.OK {
			d.Reason = i.Name + " lacks " + i.Missing
		}
		list = append(list, d)
	}
	return list
}
