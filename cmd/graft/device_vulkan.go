//go:build !novulkan

package main

import _ "graft/kernels/vulkan" // opened when it is asked for by name
