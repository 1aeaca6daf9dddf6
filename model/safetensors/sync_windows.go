package safetensors

// Windows does not sync directories; its file systems journal a rename.
const dirsCanSync = false
