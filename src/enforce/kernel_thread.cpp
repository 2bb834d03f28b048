// SPDX-License-Identifier: Apache-2.0
#include "enforce/kernel_thread.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "enforce/bpf_thing.hpp"
#include "enforce/libbpf_words.hpp"
#include "kernel_links.skel.h"

namespace bpfwarden::enforce {

static constexpr auto patience = std::chrono::minutes(5);

namespace {

// A map of one value, as memory.
template <class What>
class Mapped {
  public:
    static Result<Mapped> of(const bpf_map* map) {
        Mapped made;
        made.size_ = ::bpf_map__value_size(map);
        void* address = ::mmap(nullptr, made.size_, PROT_READ | PROT_WRITE, MAP_SHARED, ::bpf_map__fd(map), 0);
        if (address == MAP_FAILED) return fail_errno("cannot map what the kernel's thread is to read");
        made.address_ = address;
        return made;
    }
    Mapped(Mapped&& other) noexcept : address_(std::exchange(other.address_, nullptr)), size_(other.size_) {}
    Mapped& operator=(Mapped&&) = delete;
    ~Mapped() {
        if (address_) ::munmap(address_, size_);
    }
    What* operator->() const { return static_cast<What*>(address_); }
    What& operator*() const { return *static_cast<What*>(address_); }

  private:
    Mapped() = default;
    void* address_ = nullptr;
    std::size_t size_ = 0;
};

// Where there is no guard, its tables are there for this alone, and say that it is not armed.
Result<> use_guards(bpf_object* object, const std::string& guard) {
    constexpr std::array<std::string_view, 2> shared{"guard", "tasks"};
    constexpr std::array<std::string_view, 3> own{"works", "batches", "bytes"};
    const bool guarded = ::access((guard + "/guard").c_str(), F_OK) == 0;
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) {
        const std::string_view name = ::bpf_map__name(map);
        if (std::ranges::find(shared, name) != shared.end()) {
            if (!guarded) continue;
            const auto pinned = BW_TRY(open_pin(fmt::format("{}/{}", guard, name)));
            if (const int error = ::bpf_map__reuse_fd(map, pinned.get()); error)
                return fail(Error::from_errno(-error, fmt::format("cannot use the guard's map {}", name)));
        } else if (std::ranges::find(own, name) == own.end() && !name.contains('.')) {
            ::bpf_map__set_autocreate(map, false);
        }
    }
    return {};
}

}  // namespace

Result<> have_done_in_kernel(const std::string& guard, bw_batch& batch, std::span<const std::byte> bytes) {
    const LibbpfWords words;
    const std::unique_ptr<struct ::kernel_links, void (*)(struct ::kernel_links*)> object(::kernel_links__open(),
                                                                                          &::kernel_links__destroy);
    if (!object) return fail_errno("cannot read the program that the kernel's thread runs");
    BW_TRY(use_guards(object->obj, guard));
    const auto size = std::max<std::size_t>(8, bytes.size());
    ::bpf_map__set_value_size(object->maps.bytes, static_cast<__u32>(size));
    if (const int error = kernel_links__load(object.get()); error)
        return fail(
            Error::from_errno(-error, "the kernel refuses the program that its thread runs").because(words.end()));
    {
        const auto memory = BW_TRY(Mapped<std::byte>::of(object->maps.bytes));
        std::memcpy(&*memory, bytes.data(), bytes.size());
    }
    const auto shared = BW_TRY(Mapped<bw_batch>::of(object->maps.batches));
    *shared = batch;
    LIBBPF_OPTS(bpf_test_run_opts, options);
    if (::bpf_prog_test_run_opts(::bpf_program__fd(object->progs.have_it_done), &options))
        return fail_errno("cannot run the program that asks the kernel's thread");
    if (const int error = -static_cast<int>(options.retval); error)
        return fail(
            Error::from_errno(error, "the kernel's thread is not asked")
                .advise("what is sealed is changed by who the seal names as its updater: bpfwarden guard status"));
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!__atomic_load_n(&shared->done, __ATOMIC_ACQUIRE)) {
        if (std::chrono::steady_clock::now() > end)
            return fail(Error(Code::failed, "the kernel's thread does not answer")
                            .because(fmt::format("nothing came back within {} minutes", patience.count()))
                            .advise("see the kernel's log; what it makes yet is let go of by the next change"));
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    batch = *shared;
    return {};
}

}  // namespace bpfwarden::enforce
