// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by kernel_read_file(READING_KEXEC_IMAGE), where it has a signature, too.
#include <asm/bootparam.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "attack/attack.hpp"
#include "attack/kexec.hpp"

namespace bpfwarden::test {

// As little as the kernel takes for a kernel.
static int act(const Place&) {
    char image[8192]{};
    setup_header head{};
    head.setup_sects = 1;
    head.boot_flag = 0xaa55;
    head.jump = 0x6aeb;
    std::memcpy(&head.header, "HdrS", 4);
    head.version = 0x020f;
    head.loadflags = LOADED_HIGH;
    head.kernel_alignment = 0x200000;
    head.xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G | XLF_5LEVEL | XLF_5LEVEL_ENABLED;
    head.cmdline_size = 255;
    head.pref_address = 0x1000000;
    head.init_size = 0x10000;
    std::memcpy(image + offsetof(boot_params, hdr), &head, sizeof head);
    const char* path = "/tmp/kernel";
    std::ofstream(path).write(image, sizeof image);
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    const int status = status_of(::syscall(SYS_kexec_file_load, file, -1, 1UL, "", KEXEC_FILE_NO_INITRAMFS));
    ::unlink(path);
    return status;
}
static const Registered vector{"kexec_file_load",
                               {.what = "another kernel is loaded from a file (kexec_file_load)",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = kexec_is_loaded,
                                .clean_up = unload_kexec}};

}  // namespace bpfwarden::test
