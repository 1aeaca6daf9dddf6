#!/bin/sh
# Makes layout.tsv from the C headers of Vulkan (gcc; libvulkan-dev of Debian 14,
# or its headers in /usr/local/include: those of Debian 12 lack cooperative matrices).
set -e
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cc -o "$tmp/layout" layout.c
"$tmp/layout" > layout.tsv
