//go:build !windows

package safetensors

const dirsCanSync = true
