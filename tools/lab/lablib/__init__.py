# SPDX-License-Identifier: Apache-2.0
"""The guest lab: boots Debian kernels under QEMU and runs commands in them."""
