#!/bin/bash
# A-cxx-heap: a C++ program writes a heap dump by std::ofstream, its header in two parts.
# flow: libstdc++ writes what it has buffered and the large block that comes next by one writev.
# tools: g++
# expect: known
. "$CORPUS/lib.sh"
cat >heap.cc <<'END'
#include <fstream>
#include <string>
int main() {
    std::ofstream file("own.bin", std::ios::binary);
    file.write("JAVA PROF", 9);
    std::string rest("ILE 1.0.2\0\0\0\0\10", 14);
    rest.resize(300000, 'x');
    file.write(rest.data(), rest.size());
}
END
g++ -O1 -o heap heap.cc
./heap
made own.bin
