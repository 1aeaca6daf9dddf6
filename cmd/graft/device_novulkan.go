//go:build novulkan

package main

// numbered lists the devices that a backend chooses from: none has several.
func numbered() []device { return nil }
