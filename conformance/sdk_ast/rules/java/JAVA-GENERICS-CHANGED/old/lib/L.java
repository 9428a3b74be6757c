package lib;

import java.util.*;
public final class L { public static void m(List<String> x) {} }
