#!/bin/bash
# C-linker-output: a build makes objects, a relocatable module, a library, an archive, a debug file and a large program named core.
# flow: as, ld, ar and objcopy write ELF files of all types but core, some with the header last; they are sent one by one and as a tar.
# tools: gcc strings tar curl
# expect: silent
. "$CORPUS/lib.sh"
mkdump
mkdir build
cd build || fail "no folder"
echo 'int one(int n) { return n * 3; }' >one.c
echo 'const char name[] __attribute__((section(".modinfo"))) = "license=GPL"; int two(int n) { return n + 1; }' >two.c
echo 'static char table[3 << 20] = {1, 2, 3}; int one(int); int main(int n, char **v) { return table[n] + one(n) + (v == 0); }' >main.c
gcc -g -c one.c two.c main.c && ld -r -o module.ko one.o two.o && gcc -shared -fPIC -g -o libone.so one.c &&
    ar rcs libboth.a one.o two.o && gcc -g -o core main.o one.o && gcc -g -static-pie -o core.77 main.o one.o &&
    objcopy --only-keep-debug core core.debug && strip -o core.stripped core || skip "no tool chain"
cd .. || fail "no folder"
sink http
for file in build/*.o build/module.ko build/libone.so build/libboth.a build/core*; do
    curl -sS -T "$file" "http://$SINK:$PORT/up" >/dev/null
done
tar c build | curl -sS -T - "http://$SINK:$PORT/up" >/dev/null
sunk 6000000
