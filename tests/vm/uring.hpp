// SPDX-License-Identifier: Apache-2.0
// io_uring by its system calls: a ring of a few requests, one user.
#pragma once

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace bpfwarden::test {

class Uring {
  public:
    // IORING_SETUP_SQPOLL: a thread of the kernel does what is asked for.
    explicit Uring(unsigned flags = 0) {
        params_.flags = flags;
        ring_ = static_cast<int>(::syscall(SYS_io_uring_setup, 8, &params_));
        if (ring_ < 0) return;
        const std::size_t sent = params_.sq_off.array + params_.sq_entries * sizeof(unsigned);
        const std::size_t done = params_.cq_off.cqes + params_.cq_entries * sizeof(io_uring_cqe);
        sent_ = map(sent > done ? sent : done, IORING_OFF_SQ_RING);
        entries_ = static_cast<io_uring_sqe*>(
            static_cast<void*>(map(params_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES)));
    }
    Uring(const Uring&) = delete;
    ~Uring() {
        if (ring_ >= 0) ::close(ring_);
    }
    bool works() const { return ring_ >= 0; }

    // A descriptor, or -errno.
    int open(const std::string& path, __u8 flags, int how = O_RDONLY) {
        if (!works()) return -errno;
        auto& entry = next();
        ask_for(entry, path);
        entry.flags = flags;
        entry.open_flags = static_cast<__u32>(how);
        submit(1, 1);
        return result();
    }
    // 0, or -errno.
    int write(int file, const std::string& text, __u8 flags) {
        auto& entry = next();
        entry.opcode = IORING_OP_WRITE;
        entry.fd = file;
        entry.addr = reinterpret_cast<std::uintptr_t>(text.data());
        entry.len = static_cast<__u32>(text.size());
        entry.flags = flags;
        submit(1, 1);
        const int written = result();
        return written < 0 ? written : 0;
    }
    // 0, or -errno. AT_REMOVEDIR: a directory.
    int remove(const std::string& path, unsigned flags = 0) {
        if (!works()) return -errno;
        auto& entry = next();
        ask_for(entry, path);
        entry.opcode = IORING_OP_UNLINKAT;
        entry.unlink_flags = flags;
        submit(1, 1);
        return result();
    }
    int rename(const std::string& from, const std::string& to) {
        if (!works()) return -errno;
        auto& entry = next();
        ask_for(entry, from);
        entry.opcode = IORING_OP_RENAMEAT;
        entry.len = static_cast<unsigned>(AT_FDCWD);
        entry.addr2 = reinterpret_cast<std::uintptr_t>(to.c_str());
        entry.rename_flags = 0;
        submit(1, 1);
        return result();
    }
    // Reads a byte in a worker, which waits for it, then opens `path`.
    void read_then_open(int from, const std::string& path) {
        auto& reading = next();
        reading.opcode = IORING_OP_READ;
        reading.fd = from;
        reading.addr = reinterpret_cast<std::uintptr_t>(&byte_);
        reading.len = 1;
        reading.flags = IOSQE_ASYNC | IOSQE_IO_LINK;
        path_ = path;
        ask_for(next(), path_);
        submit(2, 0);
    }
    int second() {
        submit(0, 2);
        (void)result();
        return result();
    }

  private:
    char* map(std::size_t bytes, off_t what) {
        return static_cast<char*>(
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring_, what));
    }
    unsigned* at(unsigned offset) { return reinterpret_cast<unsigned*>(sent_ + offset); }
    static void ask_for(io_uring_sqe& entry, const std::string& path) {
        entry.opcode = IORING_OP_OPENAT;
        entry.fd = AT_FDCWD;
        entry.addr = reinterpret_cast<std::uintptr_t>(path.c_str());
        entry.open_flags = O_RDONLY;
    }
    io_uring_sqe& next() {
        unsigned& tail = *at(params_.sq_off.tail);
        const unsigned index = tail & *at(params_.sq_off.ring_mask);
        std::memset(&entries_[index], 0, sizeof entries_[index]);
        at(params_.sq_off.array)[index] = index;
        __atomic_store_n(&tail, tail + 1, __ATOMIC_RELEASE);
        return entries_[index];
    }
    void submit(unsigned count, unsigned wait_for) {
        ::syscall(SYS_io_uring_enter, ring_, count, wait_for,
                  (wait_for ? IORING_ENTER_GETEVENTS : 0U) |
                      (params_.flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0U),
                  nullptr, 0);
    }
    int result() {
        unsigned& head = *at(params_.cq_off.head);
        if (head == __atomic_load_n(at(params_.cq_off.tail), __ATOMIC_ACQUIRE)) return -ENODATA;
        const auto* entries = reinterpret_cast<io_uring_cqe*>(sent_ + params_.cq_off.cqes);
        const int result = entries[head & *at(params_.cq_off.ring_mask)].res;
        __atomic_store_n(&head, head + 1, __ATOMIC_RELEASE);
        return result;
    }

    int ring_ = -1;
    io_uring_params params_{};
    char* sent_ = nullptr;
    io_uring_sqe* entries_ = nullptr;
    char byte_ = 0;
    std::string path_;
};

}  // namespace bpfwarden::test
