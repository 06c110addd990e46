// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix: addressing, slices and the views it accepts.
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/matrix.hpp>

using vrfm::Matrix;
using Host = Kokkos::HostSpace;

TEST_CASE("a matrix addresses rows and columns through its stride", "[core][matrix]") {
  std::vector<int> block(3 * 5);
  for (int k = 0; k < 15; ++k) block[static_cast<std::size_t>(k)] = k;
  const Matrix<int> m(block.data(), 3, 4, 5);
  CHECK(m(0, 0) == 0);
  CHECK(m(2, 3) == 13);
  CHECK(m.row(1) == block.data() + 5);
  CHECK_FALSE(m.empty());

  const auto rows = m.row_range(1, 2);
  CHECK((rows.rows == 2 && rows.cols == 4 && rows.stride == 5));
  CHECK(rows(1, 2) == m(2, 2));
  const auto cols = m.col_range(2, 2);
  CHECK((cols.rows == 3 && cols.cols == 2 && cols.stride == 5));
  CHECK(cols(2, 1) == m(2, 3));
  const auto both = m.row_range(2, 1).col_range(1, 3);
  CHECK(both(0, 2) == m(2, 3));

  both(0, 0) = -1;
  CHECK(m(2, 1) == -1);
}

TEST_CASE("an index beyond 32 bits reaches its element", "[core][matrix]") {
  // Addresses only: the memory behind them does not exist.
  const Matrix<char> m(reinterpret_cast<char*>(std::size_t(64)), 70000, 70000, 70000);
  const auto far = reinterpret_cast<std::size_t>(m.row(69999));
  CHECK(far == 64 + std::size_t(69999) * 70000);
}

TEST_CASE("slices of an empty matrix are empty and keep the wanted extents", "[core][matrix]") {
  const Matrix<float> none;
  CHECK(none.empty());
  CHECK((none.rows == 0 && none.cols == 0));
  const auto rows = none.row_range(4, 2);
  CHECK(rows.empty());
  CHECK(rows.rows == 2);
  const auto cols = none.col_range(4, 3);
  CHECK(cols.empty());
  CHECK(cols.cols == 3);
}

TEST_CASE("a matrix of variables converts to one of constants only", "[core][matrix]") {
  STATIC_REQUIRE(std::is_convertible_v<Matrix<float>, Matrix<const float>>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<Matrix<const float>, Matrix<float>>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<Matrix<float>, Matrix<const double>>);
  STATIC_REQUIRE(std::is_trivially_copyable_v<Matrix<double>>);
  float block[6] = {};
  const Matrix<const float> read = Matrix<float>(block, 2, 2, 3);
  CHECK((read.data == block && read.rows == 2 && read.cols == 2 && read.stride == 3));
}

TEST_CASE("matrix(view) takes row-major views, also cut ones", "[core][matrix]") {
  const Kokkos::View<double**, Kokkos::LayoutRight, Host> table("table", 4, 6);
  const auto whole = vrfm::matrix(table);
  CHECK((whole.rows == 4 && whole.cols == 6 && whole.stride == 6));
  const auto part =
      vrfm::matrix(Kokkos::subview(table, std::make_pair(1, 3), std::make_pair(2, 5)));
  CHECK((part.rows == 2 && part.cols == 3 && part.stride == 6));
  CHECK(part.data == &table(1, 2));
  const Kokkos::View<const double**, Kokkos::LayoutRight, Host> constant = table;
  STATIC_REQUIRE(std::is_same_v<decltype(vrfm::matrix(constant)), Matrix<const double>>);
}

TEST_CASE("matrix(view) refuses extents beyond its own", "[core][matrix]") {
  // Only the extents are looked at.
  float one = 0;
  const Kokkos::View<float**, Kokkos::LayoutRight, Host, Kokkos::MemoryTraits<Kokkos::Unmanaged>>
      table(&one, (std::size_t{1} << 32) + 5, 1);
  CHECK(vrfm::test::thrown<std::invalid_argument>([&] {
          vrfm::matrix(table);
        }).find("4294967301") != std::string::npos);
}

TEST_CASE("matrix(view) rejects columns that are not adjacent and names the view",
          "[core][matrix]") {
  const Kokkos::View<float**, Kokkos::LayoutLeft, Host> table("samples", 4, 6);
  CHECK(vrfm::test::thrown<std::invalid_argument>([&] { vrfm::matrix(table); }) ==
        "vrfm: view 'samples' must be row-major (Kokkos::LayoutRight), but its columns are 4 "
        "elements apart");
  // One column has no distance between columns: any layout is row-major.
  const Kokkos::View<float**, Kokkos::LayoutLeft, Host> column("column", 4, 1);
  const auto m = vrfm::matrix(column);
  for (int i = 0; i < 4; ++i) CHECK(&m(i, 0) == &column(i, 0));
}
