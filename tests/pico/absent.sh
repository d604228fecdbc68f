#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Stands for the tests of the firmware's image where a package is absent when meson looks: skipped, with the reason.
echo "skipped: $1 is not installed (script/bootstrap firmware, then meson setup --wipe)"
exit 77
