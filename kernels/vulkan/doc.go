// Package vulkan runs programs on any device with a Vulkan 1.2 driver that has
// device addresses: a GPU, or a software driver such as lavapipe.
//
// Importing it registers the backend "vulkan"; nothing of Vulkan is touched until
// it is opened. The argument chooses the device, by its number in the drivers' order or
// by what it is:
//
//	import _ "graft/kernels/vulkan"
//	be, err := kernels.Open("vulkan")          // the best device: discrete, integrated, virtual, software
//	be, err := kernels.Open("vulkan:hardware") // the same, but no software driver
//	be, err := kernels.Open("vulkan:1")        // the second one
//	defer be.Close()
//
// A program is recorded once into a command buffer and replayed by one submission, or by
// several where one would take so long that a watchdog fires.
// Kernels get their operands as device addresses in push constants, so there are no
// descriptor sets; every allocation ends in a guard zone, because drivers may run
// loads that control flow would skip. One queue, one timeline semaphore, Run waits.
//
// A buffer is of any size: where the driver limits one, it is made of several pieces, and
// what a program binds lies inside of one. On a device whose memory the CPU does not see,
// bytes move through a staging buffer. Caps counts guard zones and staging, so that a plan
// knows to the byte what will be allocated. Errors of the driver wrap kernels.ErrOutOfMemory,
// ErrDeviceLost and ErrTimeout; Close frees everything whatever happened before.
//
// Pipelines are compiled in parallel, and what the driver made of them is kept for the
// next run in the user's cache directory, graft/vulkan. GRAFT_PIPELINE_CACHE names another
// directory; "off" keeps nothing.
//
// There are kernels for every operation of the table; Supports refuses types and sizes that
// they have no way for. Variants are chosen by shape and by the device's limits, never by a
// timing: what was measured decides only where a recording is cut, which changes no bit. With the build tag novulkan the package stays, and opening says that Vulkan was
// not built in.
package vulkan
