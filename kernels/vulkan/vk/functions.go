package vk

import (
	"fmt"
	"unsafe"
)

// The C functions, one index each; the tables below give their names.
const (
	fnEnumerateInstanceVersion = iota
	fnEnumerateInstanceLayerProperties
	fnEnumerateInstanceExtensionProperties
	fnCreateInstance
	numGlobal
)

const (
	fnDestroyInstance = iota
	fnEnumeratePhysicalDevices
	fnGetPhysicalDeviceProperties2
	fnGetPhysicalDeviceFeatures2
	fnGetPhysicalDeviceMemoryProperties2
	fnGetPhysicalDeviceQueueFamilyProperties
	fnEnumerateDeviceExtensionProperties
	fnCreateDevice
	fnGetDeviceProcAddr
	numInstance
)

const (
	fnDestroyDevice = iota
	fnDeviceWaitIdle
	fnGetDeviceQueue
	fnQueueSubmit
	fnAllocateMemory
	fnFreeMemory
	fnMapMemory
	fnCreateBuffer
	fnDestroyBuffer
	fnGetBufferMemoryRequirements
	fnBindBufferMemory
	fnGetBufferDeviceAddress
	fnCreateShaderModule
	fnDestroyShaderModule
	fnCreatePipelineCache
	fnDestroyPipelineCache
	fnGetPipelineCacheData
	fnCreatePipelineLayout
	fnDestroyPipelineLayout
	fnCreateComputePipelines
	fnDestroyPipeline
	fnCreateCommandPool
	fnDestroyCommandPool
	fnAllocateCommandBuffers
	fnBeginCommandBuffer
	fnEndCommandBuffer
	fnCmdBindPipeline
	fnCmdPushConstants
	fnCmdDispatch
	fnCmdPipelineBarrier
	fnCmdCopyBuffer
	fnCmdFillBuffer
	fnCmdResetQueryPool
	fnCmdWriteTimestamp
	fnCreateSemaphore
	fnDestroySemaphore
	fnWaitSemaphores
	fnGetSemaphoreCounterValue
	fnCreateQueryPool
	fnDestroyQueryPool
	fnGetQueryPoolResults
	numDevice
)

var globalNames = [numGlobal]string{
	"vkEnumerateInstanceVersion", "vkEnumerateInstanceLayerProperties",
	"vkEnumerateInstanceExtensionProperties", "vkCreateInstance",
}

var instanceNames = [numInstance]string{
	"vkDestroyInstance", "vkEnumeratePhysicalDevices", "vkGetPhysicalDeviceProperties2",
	"vkGetPhysicalDeviceFeatures2", "vkGetPhysicalDeviceMemoryProperties2",
	"vkGetPhysicalDeviceQueueFamilyProperties", "vkEnumerateDeviceExtensionProperties",
	"vkCreateDevice", "vkGetDeviceProcAddr",
}

var deviceNames = [numDevice]string{
	"vkDestroyDevice", "vkDeviceWaitIdle", "vkGetDeviceQueue", "vkQueueSubmit",
	"vkAllocateMemory", "vkFreeMemory", "vkMapMemory", "vkCreateBuffer", "vkDestroyBuffer",
	"vkGetBufferMemoryRequirements", "vkBindBufferMemory", "vkGetBufferDeviceAddress",
	"vkCreateShaderModule", "vkDestroyShaderModule",
	"vkCreatePipelineCache", "vkDestroyPipelineCache", "vkGetPipelineCacheData",
	"vkCreatePipelineLayout",
	"vkDestroyPipelineLayout", "vkCreateComputePipelines", "vkDestroyPipeline",
	"vkCreateCommandPool", "vkDestroyCommandPool", "vkAllocateCommandBuffers",
	"vkBeginCommandBuffer", "vkEndCommandBuffer", "vkCmdBindPipeline", "vkCmdPushConstants",
	"vkCmdDispatch", "vkCmdPipelineBarrier", "vkCmdCopyBuffer", "vkCmdFillBuffer",
	"vkCmdResetQueryPool", "vkCmdWriteTimestamp", "vkCreateSemaphore", "vkDestroySemaphore",
	"vkWaitSemaphores",
	"vkGetSemaphoreCounterValue", "vkCreateQueryPool", "vkDestroyQueryPool", "vkGetQueryPoolResults",
}

// resolve fills fns with the addresses that get (a vkGet…ProcAddr taking a handle and a
// name) returns, and names the first function that is missing.
func resolve(fns []uintptr, names []string, get, handle uintptr) error {
	for i, name := range names {
		fns[i] = call(get, handle, uintptr(unsafe.Pointer(cstring(name))))
		if fns[i] == 0 {
			return fmt.Errorf("vk: the driver has no %s", name)
		}
	}
	return nil
}

// cstring returns s with a terminating zero.
func cstring(s string) *byte {
	b := make([]byte, len(s)+1)
	copy(b, s)
	return &b[0]
}

// cstrings returns a C array of strings, nil for none.
func cstrings(ss []string) **byte {
	if len(ss) == 0 {
		return nil
	}
	p := make([]*byte, len(ss))
	for i, s := range ss {
		p[i] = cstring(s)
	}
	return &p[0]
}

// gostring returns the zero-terminated string in a fixed C array.
func gostring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
