import tf from "@tensorflow/tfjs";

const weight = tf.randomNormal([3, 3, 3, 16]);
await tf.conv2d(tf.randomNormal([1, 224, 224, 3]), weight, 1, "same").data();
