package lib;

import java.util.*;
public class L { public List<String> x; }
