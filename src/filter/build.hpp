// SPDX-License-Identifier: Apache-2.0
// From a source to a program that is proven to be the same function.
#pragma once

#include "filter/compare.hpp"
#include "filter/compile.hpp"
#include "filter/source.hpp"

namespace bpfwarden::filter {

enum class Objective : std::uint8_t {
    usual,  // what costs at run time: calls whose arguments are looked at, and what the kernel's cache does not answer
    uniform,  // every number of the tables alike
    given,    // `weights`
};

struct BuildOptions {
    Objective objective = Objective::usual;
    Weights weights;            // for Objective::given
    bool cached_count = false;  // for kernels before 5.11, which run the filter for every call
    Effort effort = Effort::normal;
    bool require_proof = false;  // a proof that is not found fails the build
    std::size_t proof_nodes = usual_nodes;
};

struct Built {
    std::vector<sock_filter> program;
    std::size_t converted_length = 0;
    Answer proof = Answer::undecided;  // that it is the source's function; `different` fails the build
};

std::vector<NumberTable> tables_of(const Source& source, Kernel kernel);

// Classic BPF stays as it is.
Result<Built> build(const Source& source, Kernel kernel, const BuildOptions& options = {});

}  // namespace bpfwarden::filter
