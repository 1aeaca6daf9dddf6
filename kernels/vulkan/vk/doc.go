// Package vk is Graft's own binding of the part of Vulkan 1.2 that compute needs.
//
// It opens the system's Vulkan loader at run time (libvulkan.so.1, vulkan-1.dll,
// libvulkan.1.dylib or MoltenVK), so a program that imports it needs no C compiler
// to build and no driver to start. All unsafe code of the Vulkan backend is here;
// callers see handles, Go slices and errors.
//
//	loader, err := vk.Open()                                  // ErrNoLoader without a driver
//	inst, err := loader.CreateInstance(vk.InstanceInfo{AppName: "graft"})
//	devs, err := inst.PhysicalDevices()
//	dev, err := devs[0].CreateDevice(vk.DeviceInfo{Features: vk.Features{BufferAddress: true}})
//	buf, err := dev.CreateBuffer(1<<20, vk.BufferUsageStorage|vk.BufferUsageDeviceAddress)
//
// Only the functions the backend calls are bound: no graphics, no images, no
// descriptor sets (buffers reach shaders as device addresses in push constants).
// The layout of every structure is held to the C headers by a test. With the build
// tag novulkan, and where there is no 64-bit port, the package compiles to the same
// API whose Open returns ErrNotBuilt.
//
// A Device is not safe for concurrent use except where a method says so.
package vk
