// SPDX-License-Identifier: Apache-2.0
// Where programs are attached and ended, or control groups made, while others run: the kernel patches itself, and a
// second emulated processor now and then meets the int3 of that, which real ones do not.
#pragma once

#include <filesystem>
#include <fstream>

namespace bpfwarden::test {

class OneProcessor {
  public:
    OneProcessor() { second(false); }
    OneProcessor(const OneProcessor&) = delete;
    ~OneProcessor() { second(true); }

  private:
    static void second(bool runs) {
        const char* path = "/sys/devices/system/cpu/cpu1/online";
        if (std::filesystem::exists(path)) std::ofstream(path) << runs;
    }
};

}  // namespace bpfwarden::test
