// SPDX-License-Identifier: Apache-2.0
#include "enforce/file_identity.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "kernel/mount.hpp"
#include "trust/digest.hpp"

namespace bpfwarden::enforce {

using policy::Pin;
using policy::PinKind;

// The number of the superblock. stat(2) has another one on file systems that give their parts numbers of their own
// (btrfs, overlay).
static Result<dev_t> device_of(FdRef file) {
    struct statx found{};
    if (::statx(file.get(), "", AT_EMPTY_PATH, STATX_MNT_ID, &found)) return fail_errno("cannot look at the file");
    const auto mounts = BW_TRY(kernel::mount_table());
    const auto at = std::ranges::find(mounts, found.stx_mnt_id, &kernel::MountEntry::id);
    if (at == mounts.end()) return makedev(found.stx_dev_major, found.stx_dev_minor);
    return at->device;
}

static Result<std::optional<policy::Identity>> identity_of(FdRef file, const struct stat& status) {
    // The kernel writes an int, though the number of the call says long.
    long generation = 0;
    if (::ioctl(file.get(), FS_IOC_GETVERSION, &generation)) return std::nullopt;
    const auto device = BW_TRY(device_of(file));
    return policy::Identity{
        major(device) << 20 | minor(device), status.st_ino, static_cast<std::uint32_t>(generation), {}};
}

static std::optional<Pin> fsverity_of(FdRef file) {
    alignas(fsverity_digest) std::array<char, sizeof(fsverity_digest) + 64> room{};
    fsverity_digest head{};
    head.digest_size = room.size() - sizeof head;
    std::memcpy(room.data(), &head, sizeof head);
    if (::ioctl(file.get(), FS_IOC_MEASURE_VERITY, room.data())) return std::nullopt;
    std::memcpy(&head, room.data(), sizeof head);
    return Pin{PinKind::fsverity,
               static_cast<std::uint8_t>(head.digest_algorithm),
               std::string(room.data() + sizeof head, head.digest_size),
               {}};
}

static std::optional<Pin> label_of(FdRef file, PinKind kind) {
    std::array<char, BW_PIN_BYTES> value{};
    const auto length =
        ::fgetxattr(file.get(), std::string(policy::info(kind).attribute).c_str(), value.data(), value.size());
    if (length <= 0) return std::nullopt;
    return Pin{kind, 0, std::string(value.data(), static_cast<std::size_t>(length)), {}};
}

Result<FileIdentity> identify_file(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file) return fail_errno(fmt::format("cannot open {}", quoted(path)));
    struct stat status{};
    if (::fstat(file.get(), &status)) return fail_errno(fmt::format("cannot look at {}", quoted(path)));
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return fail(Error(Code::bad_input, fmt::format("{} is no regular file or directory", quoted(path)))
                        .because("policies know only these by what they are"));
    FileIdentity out;
    out.identity = BW_TRY(identity_of(file, status));
    if (S_ISREG(status.st_mode)) {
        if (auto digest = fsverity_of(file)) out.pins.push_back(std::move(*digest));
        out.pins.push_back(BW_TRY(policy::parse_pin(PinKind::ima, "sha256:" + BW_TRY(trust::sha256_of_file(file)))));
    }
    for (const auto kind : {PinKind::label, PinKind::user_label})
        if (auto label = label_of(file, kind)) out.pins.push_back(std::move(*label));
    return out;
}

}  // namespace bpfwarden::enforce
