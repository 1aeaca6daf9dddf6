#!/bin/sh
# Makes layout.tsv from the C headers of Vulkan (Debian: gcc libvulkan-dev).
set -e
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cc -o "$tmp/layout" layout.c
"$tmp/layout" > layout.tsv
