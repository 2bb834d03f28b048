// SPDX-License-Identifier: Apache-2.0
#include "wire/message.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <array>
#include <cerrno>

namespace bpfwarden::wire {

static constexpr int all_seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

static Result<> write_all(FdRef fd, Bytes content) {
    while (!content.empty()) {
        const ssize_t n = ::write(fd.get(), content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("filling a memfd");
        content = content.subspan(static_cast<std::size_t>(n));
    }
    return {};
}

Result<UniqueFd> sealed_memory(const char* name, Bytes content) {
    // Without the flag (6.3) the kernel logs a warning, or refuses (vm.memfd_noexec).
    constexpr unsigned noexec_seal = 8;
    UniqueFd memory(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | noexec_seal));
    if (!memory && errno == EINVAL) memory = UniqueFd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) return fail_errno("memfd_create");
    BW_TRY(write_all(memory, content));
    if (::fcntl(memory.get(), F_ADD_SEALS, all_seals) != 0) return fail_errno("sealing a memfd");
    return memory;
}

Mapping::~Mapping() {
    if (address_ != nullptr) ::munmap(address_, length_);
}

Result<Mapping> Mapping::of(FdRef memfd, std::size_t length) {
    // The mark of a memfd (or of a file on tmpfs that is just as well sealed): F_GET_SEALS fails on everything else.
    constexpr int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    const int seals = ::fcntl(memfd.get(), F_GET_SEALS);
    if (seals < 0 || (seals & needed) != needed)
        return fail(Error::from_errno(EPROTO, "a message's body is not sealed"));
    // One of huge pages can be sealed as well, but a mapping of it has another length than was asked for and would
    // stay.
    struct statfs where{};
    if (::fstatfs(memfd.get(), &where) != 0 || where.f_type != TMPFS_MAGIC)
        return fail(Error::from_errno(EPROTO, "a message's body is not a memfd"));
    struct stat info{};
    if (::fstat(memfd.get(), &info) != 0) return fail_errno("fstat of a message's body");
    if (info.st_size < 0 || static_cast<std::size_t>(info.st_size) < length)
        return fail(Error::from_errno(EPROTO, "a message's body is shorter than its header says"));
    Mapping mapping;
    void* address = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, memfd.get(), 0);
    if (address == MAP_FAILED) return fail_errno("mapping a message's body");
    mapping.address_ = address;
    mapping.length_ = length;
    return mapping;
}

Result<> send(FdRef socket, Type type, std::uint32_t id, Bytes body, std::span<const int> fds, int flags) {
    if (fds.size() > most_fds || body.size() > largest_body)
        return fail(Error::from_errno(E2BIG, "the message is too large"));
    Header header;
    header.type = static_cast<std::uint16_t>(type);
    header.id = id;
    header.fds = static_cast<std::uint16_t>(fds.size());
    header.length = body.size();

    UniqueFd memory;
    std::array<int, most_fds + 1> numbers{};
    std::size_t count = 0;
    if (body.size() > largest_inline_body) {
        memory = BW_TRY(sealed_memory("bpfwarden", body));
        header.body = 1;
        numbers[count++] = memory.get();
        body = {};
    }
    for (const int fd : fds) numbers[count++] = fd;

    // sendmsg takes non-const pointers for historical reasons and changes nothing.
    iovec parts[2] = {{&header, sizeof header}, {const_cast<std::byte*>(body.data()), body.size()}};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof numbers)];
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    if (count != 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(count * sizeof(int));
        std::memcpy(CMSG_DATA(rights), numbers.data(), count * sizeof(int));
    }
    while (::sendmsg(socket.get(), &message, flags | MSG_NOSIGNAL) < 0)
        if (errno != EINTR) return fail_errno("sendmsg");
    return {};
}

static constexpr std::size_t largest_message = sizeof(Header) + largest_inline_body;

// Not filled: most messages touch little of it.
Receiver::Receiver() : buffer_(std::make_unique_for_overwrite<std::byte[]>(largest_message)) {}

static Failure broken(std::string what) { return fail(Error::from_errno(EPROTO, std::move(what))); }

Result<std::optional<Message>> Receiver::receive(FdRef socket, int flags) {
    iovec part{buffer_.get(), largest_message};
    alignas(cmsghdr) char control[CMSG_SPACE((most_fds + 1) * sizeof(int)) + CMSG_SPACE(sizeof(ucred)) + 64];
    msghdr raw{};
    raw.msg_iov = &part;
    raw.msg_iovlen = 1;
    raw.msg_control = control;
    raw.msg_controllen = sizeof control;
    ssize_t n = 0;
    while ((n = ::recvmsg(socket.get(), &raw, flags | MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    if (n < 0 && errno == ECONNRESET) return std::optional<Message>{};
    if (n < 0) return fail_errno("recvmsg");

    Message message;
    for (cmsghdr* part_of = CMSG_FIRSTHDR(&raw); part_of != nullptr; part_of = CMSG_NXTHDR(&raw, part_of)) {
        if (part_of->cmsg_level != SOL_SOCKET) continue;
        if (part_of->cmsg_type == SCM_RIGHTS) {
            for (std::size_t i = 0; i < (part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
                int number = -1;
                std::memcpy(&number, CMSG_DATA(part_of) + i * sizeof(int), sizeof number);
                message.fds.emplace_back(number);
            }
        } else if (part_of->cmsg_type == SCM_CREDENTIALS) {
            ucred credentials{};
            std::memcpy(&credentials, CMSG_DATA(part_of), sizeof credentials);
            message.sender = Sender{credentials.pid, credentials.uid, credentials.gid};
        }
    }
    if (n == 0 && message.fds.empty()) return std::optional<Message>{};
    // There is room for more fds than a message can carry, so this process may have no more of them.
    if ((raw.msg_flags & MSG_CTRUNC) != 0)
        return fail(Error::from_errno(EMFILE, "taking the file descriptors of a message"));
    if ((raw.msg_flags & MSG_TRUNC) != 0) return broken("a message is too long");

    Header header;
    if (static_cast<std::size_t>(n) < sizeof header) return broken("a message has no header");
    std::memcpy(&header, buffer_.get(), sizeof header);
    if (header.magic != magic) return broken("a message is not in bpfwarden's protocol");
    if (header.version < oldest_version || header.version > version)
        return broken("a message is in version " + std::to_string(header.version) + " of the protocol, and this is " +
                      std::to_string(version));
    const std::size_t here = static_cast<std::size_t>(n) - sizeof header;
    if (header.length > largest_body || header.body > 1) return broken("a message's body is too long");
    if (message.fds.size() != std::size_t{header.fds} + header.body) return broken("a message lacks file descriptors");
    if (header.body == 1) {
        if (here != 0 || header.length <= largest_inline_body) return broken("a message's body is in two places");
        message.large = BW_TRY(Mapping::of(message.fds.front(), header.length));
        message.fds.erase(message.fds.begin());
        message.body = message.large.bytes();
    } else {
        if (here != header.length) return broken("a message is not as long as its header says");
        message.body = Bytes(buffer_.get() + sizeof header, here);
    }
    message.type = static_cast<Type>(header.type);
    message.id = header.id;
    return std::optional<Message>(std::move(message));
}

void write_error(Writer& to, const Error& error) {
    to.number(static_cast<std::int32_t>(error.code()));
    to.number(static_cast<std::int32_t>(error.number()));
    for (const auto* part : {&error.what(), &error.why(), &error.hint()}) to.text(*part);
}

Error read_error(Reader& from) {
    const auto code = from.number<std::int32_t>();
    const auto number = from.number<std::int32_t>();
    auto what = from.text();
    auto why = from.text();
    auto hint = from.text();
    const bool known = code >= static_cast<int>(Code::failed) && code <= static_cast<int>(Code::no_daemon);
    return Error::from_errno(number, std::move(what))
        .with_code(known ? static_cast<Code>(code) : Code::failed)
        .because(std::move(why))
        .advise(std::move(hint));
}

}  // namespace bpfwarden::wire
