// SPDX-License-Identifier: Apache-2.0
// Where the guard's things are pinned: a private tmpfs, and on it a bpffs.
#pragma once

#include "base/result.hpp"

namespace bpfwarden::guard {

// Gone with the object, unless kept.
class Place {
  public:
    static Result<Place> make();
    // Whoever made it.
    static void remove();
    Place(Place&& other) noexcept;
    Place& operator=(Place&&) = delete;
    ~Place();
    void keep() { mounted_ = 0; }

  private:
    Place() = default;
    int mounted_ = 0;
};

}  // namespace bpfwarden::guard
