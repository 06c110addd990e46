// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The smallest communicator, of which each case leaves out or changes one thing.
#include <tests/contracts/contracts.hpp>

struct Alone {
#if !defined(CASE_no_rank)
  int rank() const { return 0; }
#endif
  int size() const { return 1; }
#if !defined(CASE_no_root)
  bool is_root() const { return true; }
#endif

#if defined(CASE_sum_of_floats)
  template <class Exec>
  void sum(const Exec&, const vrfm::Partition&, std::span<float* const>, float*,
           std::size_t) const {}
#elif defined(CASE_sum_without_partition)
  template <class Exec, class S>
  void sum(const Exec&, std::span<S* const>, S*, std::size_t) const {}
#else
  template <class Exec, class S>
  void sum(const Exec&, const vrfm::Partition&, std::span<S* const>, S*, std::size_t) const {}
#endif

#if !defined(CASE_no_any)
  bool any(bool flag) const { return flag; }
#endif
#if !defined(CASE_no_broadcast)
  template <class Exec, class View>
  void broadcast(const Exec&, const View&) const {}
#endif
};

constexpr bool ok = vrfm::RequireCommunicator<Alone>::ok;
