// SPDX-License-Identifier: Apache-2.0
// The C functions of filter.h. A file of its own, so that the preload library has no compiler in it.
#include "bpfwarden/filter.h"

#include "client/filter.hpp"
#include "client/guarded.hpp"

namespace client = bpfwarden::client;
using bpfwarden::Result;
using client::BuiltFilter;
using client::guarded;

namespace {

const BuiltFilter& in(const bpfw_filter* filter) { return *reinterpret_cast<const BuiltFilter*>(filter); }

template <class Call>
bpfw_filter* guarded_filter(Call call) {
    return guarded<bpfw_filter*>(
        nullptr, [&]() -> Result<bpfw_filter*> { return reinterpret_cast<bpfw_filter*>(BW_TRY(call()).release()); });
}

}  // namespace

extern "C" {

bpfw_filter* bpfw_filter_build(const void* source, size_t size, const struct bpfw_filter_options* options) {
    return guarded_filter([&] { return client::build_filter({static_cast<const char*>(source), size}, options); });
}

bpfw_filter* bpfw_filter_build_file(const char* path, const struct bpfw_filter_options* options) {
    return guarded_filter([&] { return client::build_filter_file(path, options); });
}

void bpfw_filter_free(bpfw_filter* filter) { delete reinterpret_cast<BuiltFilter*>(filter); }

const struct sock_filter* bpfw_filter_program(const bpfw_filter* filter, size_t* count) {
    *count = in(filter).program.size();
    return in(filter).program.data();
}

const char* bpfw_filter_warnings(const bpfw_filter* filter) { return in(filter).warnings.c_str(); }

int bpfw_filter_proven(const bpfw_filter* filter) { return in(filter).proven ? 1 : 0; }

unsigned int bpfw_filter_flags(const bpfw_filter* filter) { return in(filter).flags; }

int bpfw_filter_install(const bpfw_filter* filter, unsigned int flags) {
    // After the kernel has it, nothing here may need a system call: the filter may not allow it.
    return guarded(-1, [&]() -> Result<int> {
        auto listener = BW_TRY(client::install_filter(in(filter), flags));
        return listener ? listener.release() : 0;
    });
}

int bpfw_filter_compare(const bpfw_filter* one, const bpfw_filter* other, struct bpfw_filter_difference* difference) {
    return guarded(-1, [&]() -> Result<int> {
        using bpfwarden::filter::Answer;
        using bpfwarden::filter::Word;
        const auto comparison = client::compare_filters(in(one), in(other));
        if (comparison.answer == Answer::same) return BPFW_FILTER_SAME;
        if (comparison.answer == Answer::undecided) return BPFW_FILTER_UNDECIDED;
        if (difference != nullptr) {
            const auto& from = comparison.example;
            *difference = {};
            auto& data = difference->data;
            data.nr = static_cast<int>(from[Word::nr]);
            data.arch = from[Word::arch];
            data.instruction_pointer = std::uint64_t{from[Word::ip_high]} << 32 | from[Word::ip_low];
            for (unsigned i = 0; i < 6; ++i) data.args[i] = from.arg(i);
            difference->one = comparison.one;
            difference->other = comparison.other;
        }
        return BPFW_FILTER_DIFFERENT;
    });
}

}  // extern "C"
