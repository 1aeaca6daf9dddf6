// Package filemap maps whole files into memory for reading, where the system
// can do that.
//
//	data, unmap, err := filemap.Open(f, size)
//	if err != nil {
//		// such a system or file system: read the file instead
//	}
//	defer unmap()
//
// A file that something truncates while it is mapped kills the program when the
// lost part is touched.
package filemap
